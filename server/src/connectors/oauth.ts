import * as oauth from "oauth4webapi";
import { type ConsentAsked, type Http, ProviderFailure } from "../collection/connector.ts";

/** An authorization server, and who we are there. */
export interface OAuthClient {
  authorizationEndpoint: string;
  tokenEndpoint: string;
  id: string;
  secret: string;
  /** Sends a challenge with the first request and its verifier with the code (PKCE, RFC 7636). */
  hasPkce: boolean;
}

/** What a token endpoint answers (RFC 6749, 5.1), with whatever a provider adds to it. */
export type Tokens = oauth.TokenEndpointResponse;

/** The address at which a customer gives consent (RFC 6749, 4.1.1). */
export async function consentAddress(
  client: OAuthClient,
  { state, redirectUri, verifier }: Pick<ConsentAsked, "state" | "redirectUri" | "verifier">,
  more: Readonly<Record<string, string>>,
): Promise<string> {
  const address = new URL(client.authorizationEndpoint);
  const challenge = client.hasPkce
    ? { code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" }
    : {};
  const asked = { response_type: "code", client_id: client.id, redirect_uri: redirectUri, state };
  for (const [name, value] of Object.entries({ ...asked, ...challenge, ...more })) {
    address.searchParams.set(name, value);
  }
  return address.href;
}

/**
 * Tokens for what the browser brought back.
 * @throws ProviderFailure `consent` when the customer declined or the code is not good any more; see `refreshed`
 */
export async function tokensOf(
  http: Http,
  client: OAuthClient,
  { answer, state, redirectUri, verifier }: ConsentAsked & { answer: URLSearchParams },
): Promise<Tokens> {
  const parameters = new URLSearchParams(answer);
  // Servers that name themselves are those of the operator: a state belongs to one of them, and no customer names any.
  parameters.delete("iss");
  const { server, us, authentication, options } = partsOf(http, client);
  return told(async () => {
    const checked = oauth.validateAuthResponse(server, us, parameters, state);
    const proof = client.hasPkce ? verifier : oauth.nopkce;
    const response = await oauth.authorizationCodeGrantRequest(
      ...([server, us, authentication, checked, redirectUri, proof, options] as const),
    );
    return oauth.processAuthorizationCodeResponse(server, us, response);
  });
}

/**
 * Tokens for a refresh token; where the server replaces it at each use, the old one is not good any more.
 * @throws ProviderFailure `consent` when it is refused, `changed` when we are or the answer is not understood,
 *   `unreachable` and `busy` as `Http.send`
 */
export async function refreshed(http: Http, client: OAuthClient, refreshToken: string): Promise<Tokens> {
  const { server, us, authentication, options } = partsOf(http, client);
  return told(async () => {
    const response = await oauth.refreshTokenGrantRequest(server, us, authentication, refreshToken, options);
    return oauth.processRefreshTokenResponse(server, us, response);
  });
}

function partsOf(http: Http, { authorizationEndpoint, tokenEndpoint, id, secret }: OAuthClient) {
  const server: oauth.AuthorizationServer = {
    issuer: new URL(tokenEndpoint).origin,
    authorization_endpoint: authorizationEndpoint,
    token_endpoint: tokenEndpoint,
  };
  const us: oauth.Client = { client_id: id };
  const options: oauth.TokenEndpointRequestOptions = {
    [oauth.customFetch]: (url, { method, headers, body }) => sent(http, url, { method, headers, body }),
    // Whether it is https is said by the address that the operator has set up.
    [oauth.allowInsecureRequests]: true,
  };
  return { server, us, authentication: oauth.ClientSecretBasic(secret), options };
}

/** A request of the library through the way out of a visit. */
async function sent(
  http: Http,
  url: string,
  { method, headers, body }: { method: string; headers: Record<string, string>; body: unknown },
): Promise<Response> {
  const answer = await http.send(url, { method, headers, body: String(body), redirectsMax: 0 });
  return new Response(new Uint8Array(answer.bytes), {
    status: answer.status,
    headers: { ...answer.headers },
  });
}

/** Errors that end a consent; the others are the operator's to put right. */
const consentErrors = new Set(["invalid_grant", "access_denied", "server_error", "temporarily_unavailable"]);

async function told<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProviderFailure) throw error;
    if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
      const kind = consentErrors.has(error.error) ? "consent" : "changed";
      throw new ProviderFailure(kind, `the authorization server says ${error.error}`, { cause: error });
    }
    if (error instanceof oauth.WWWAuthenticateChallengeError) {
      throw new ProviderFailure("changed", "the authorization server does not take our client", {
        cause: error,
      });
    }
    if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
      throw new ProviderFailure("changed", `the authorization server: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
