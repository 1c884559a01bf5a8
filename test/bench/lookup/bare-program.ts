/** The peer: a bare `node:http` server that parses the same lookups and answers the same JSON from a Map. Its answers are the lines of the file that is its argument; it prints its port. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Asked {
  readonly repository: string;
  readonly manifest: string;
  readonly region: string;
  readonly layers: readonly string[];
}

interface Answer extends Omit<Asked, 'layers' | 'manifest'> {
  readonly digest: string;
  readonly layers: readonly { readonly digest: string }[];
}

const layers = new Map<string, object>();
for (const line of readFileSync(process.argv[2] ?? '', 'utf8').split('\n')) {
  if (line === '') continue;
  const answer = JSON.parse(line) as Answer;
  for (const layer of answer.layers) layers.set(`${answer.region} ${layer.digest}`, layer);
}

const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (piece: string) => (text += piece));
  request.on('end', () => {
    const { repository, manifest, region, layers: asked } = JSON.parse(text) as Asked;
    const body = JSON.stringify({ schemaVersion: 1, repository, digest: manifest, region, asOf: new Date().toISOString(), layers: asked.map((digest) => layers.get(`${region} ${digest}`)) });
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.once('SIGTERM', () => process.exit());
