/** Names of the jobs that endpoints send. */
export const exportJobName = "export";
export const resendJobName = "export-resend";
export const noticeJobName = "export-notice";
