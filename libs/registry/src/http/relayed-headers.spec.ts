import { describe, expect, it } from 'vitest';

import { answerHeadersToPass, requestHeadersToPass } from './relayed-headers.js';

const CALLER = { address: '192.0.2.7', host: 'registry.example', protocol: 'https' } as const;
const FORWARDED = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-host': 'registry.example', 'x-forwarded-proto': 'https' };

describe('the headers of a request that is passed on', () => {
  it('are the client\'s own, without those of its connection', () => {
    const own = { authorization: 'Bearer x', accept: 'a, b', range: 'bytes=0-1', 'content-length': '5', 'content-type': 't/t', cookie: 'a=b' };
    const hops = { connection: 'keep-alive', 'keep-alive': '5', te: 'trailers', trailer: 'x', upgrade: 'h2c', 'transfer-encoding': 'chunked', 'proxy-authorization': 'Basic x', 'proxy-connection': 'close', expect: '100-continue' };
    expect(requestHeadersToPass({ ...own, ...hops, host: 'registry.example' }, CALLER)).toEqual({ ...own, ...FORWARDED });
  });

  it('are without those that Connection names, but for what tells where the body ends', () => {
    expect(requestHeadersToPass({ connection: 'close, X-Secret, Content-Length', 'x-secret': '1', 'content-length': '5' }, CALLER)).toEqual({ 'content-length': '5', ...FORWARDED });
  });

  it('tell the registry where the request comes from, whatever the client claims', () => {
    const claimed = { forwarded: 'for=1.2.3.4', via: '1.1 x', 'x-forwarded-for': '1.2.3.4', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http', 'x-forwarded-prefix': '/x', 'x-real-ip': '1.2.3.4' };
    expect(requestHeadersToPass(claimed, CALLER)).toEqual(FORWARDED);
  });
});

describe('the headers of an answer that is passed back', () => {
  it('are the registry\'s own, without those of its connection', () => {
    const own = { 'content-type': 'a/b', 'docker-content-digest': 'sha256:x', 'www-authenticate': 'Basic realm="x"', 'set-cookie': ['a=b', 'c=d'], 'content-length': '3' };
    expect(answerHeadersToPass({ ...own, connection: 'close', 'transfer-encoding': 'chunked', 'keep-alive': 'x' })).toEqual(own);
  });
});
