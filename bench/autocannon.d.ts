declare module "autocannon" {
  /** The part of its result that the bench reads. */
  interface Result {
    requests: { average: number };
    non2xx: number;
    errors: number;
  }
  interface Options {
    url: string;
    headers?: Record<string, string>;
    connections?: number;
    duration?: number;
    requests?: { path: string }[];
  }
  export default function autocannon(options: Options): Promise<Result>;
}
