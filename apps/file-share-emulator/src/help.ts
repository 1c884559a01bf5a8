import { DEFAULT_HTTPS_PORT, DEFAULT_PORT } from '#file-share-emulator';

/** Printed by `--help`. */
export const HELP = `file-share-emulator: the REST API of Azure Files over local folders

  file-share-emulator [--config FILE] [--folder FOLDER] [--host HOST] [--port PORT] [--account NAME:KEY]...
                      [--https-port PORT] [--control-port PORT]

  --config FILE        YAML with any of the fields below
  --folder FOLDER      where shares are kept: FOLDER/ACCOUNT/SHARE/…; default .file-shares
  --host HOST          interface to listen on; default 127.0.0.1
  --port PORT          of HTTP; default ${DEFAULT_PORT}; 0 for a free one
  --account NAME:KEY   an account and its base64 key; may be repeated
  --https-port PORT    serves HTTPS too (usually ${DEFAULT_HTTPS_PORT}; 0 for a free one), with a certificate that is made
                       and kept as FOLDER/.records/.tls/certificate.pem unless the file names one
  --control-port PORT  serves the control interface, on 127.0.0.1 only; 0 for a free one
  --help               this text

Each may come from the environment: FILE_SHARE_EMULATOR_CONFIG, _FOLDER, _HOST, _PORT, _ACCOUNTS (NAME:KEY,NAME:KEY…),
_HTTPS_PORT, _CONTROL_PORT. A flag wins over the environment, the environment over the file. Keys are better kept out of
the command line.

Fields of the file (names of files are relative to the working directory):

  folder: .file-shares
  host: 127.0.0.1
  port: ${DEFAULT_PORT}
  accounts: [{ name: east, key: BASE64, region: eastus }, { name: tokyo, key: BASE64, region: japaneast }]
  https: { port: ${DEFAULT_HTTPS_PORT}, certificateFile: server.pem, keyFile: server.key, names: [files.test] }   # all optional
  issuer: { url: https://issuer.test/tenant, keysFile: jwks.json, audience: https://storage.azure.com, roles: { OBJECT-ID: reader } }
  controlPort: 11204
  deleteRetentionDays: 7        # deleted shares can be restored for so long; default 0: not at all

Limits and faults: all off unless they are named here or set through the control port.

  limits:                       # of an account, a share, or everything
    - { account: east, share: layers, latencyMs: 20, bytesPerSecond: 200000000, requestsPerSecond: 3000 }
  links:                        # of copies from one region to another
    - { from: eastus, to: japaneast, latencyMs: 160, bytesPerSecond: 50000000 }
  faults:                       # ratio: the part of the cases, 0 to 1, default 1; account, share and operation narrow it down
    - { kind: server-busy, ratio: 0.05 }                # 503 ServerBusy
    - { kind: timed-out, ratio: 0.01 }                  # 500 OperationTimedOut
    - { kind: cut-body, afterBytes: 1000 }              # the connection is cut in the middle of a body
    - { kind: flipped-byte, operation: Get File }       # one byte of a body is changed
    - { kind: source-expired, account: tokyo }          # signatures of copy sources have run out
    - { kind: share-full, account: east, share: layers }  # ShareSizeLimitReached
    - { kind: copy-pending }                            # Copy File stays pending for as long as this is set
    - { kind: slow-deletion, ms: 30000 }                # the name of a deleted share stays taken
  seed: 1                       # of the dice; the same seed and the same requests give the same faults

Endpoint of an account: http://HOST:PORT/ACCOUNT, or http://ACCOUNT.file.ANY.NAME:PORT where that name leads here.
Shares survive the end of this process at any moment (kill -9); after a power loss the latest contents may be missing,
as they are with any program that does not wait for the disk.
`;
