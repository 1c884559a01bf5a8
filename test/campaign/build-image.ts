import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SUITE = 'bookworm';
const MAX_OUTPUT_BYTES = 64 * 2 ** 20;
const INSTALL = 'apt-get install -y --no-install-recommends';
const FEW = 'find /srv/app -type f | LC_ALL=C sort | awk';

/** What is done to a Debian system, a layer for each: what the files of images are mostly built of, and some of what they are seldom. */
const STEPS: readonly string[] = [
  `apt-get update && ${INSTALL} python3-minimal`,
  `${INSTALL} ca-certificates openssl`,
  `${INSTALL} git`,
  `${INSTALL} vim-tiny less procps`,
  'rm -rf /usr/share/doc /usr/share/locale',
  'mkdir -p /usr/share/doc/new && echo again > /usr/share/doc/new/README',
  'apt-get remove -y vim-tiny less',
  'chmod -R go-rwx /etc/ssl && chmod 2775 /usr/local/lib',
  'useradd --create-home --uid 1000 app && chown -R 1000:1000 /usr/share/perl5 /usr/share/git-core',
  'echo changed > /etc/motd && sed -i s/Debian/Changed/ /usr/lib/os-release',
  'for n in 1 2 3; do ln /usr/bin/env /usr/local/bin/env-$n; done && ln -sf ../etc/hostname /srv/link',
  'rm -rf /usr/share/man && echo no manual > /usr/share/man',
  'rm /usr/share/man && mkdir -p /usr/share/man/man1 && echo one > /usr/share/man/man1/one',
  'python3 -c "import compileall; compileall.compile_dir(\'/usr/lib/python3.11\', quiet=1)"',
  'find /usr/lib/python3.11 -name "*.pyc" -path "*[aeiou]*.pyc" -delete',
  `${INSTALL} libcap2-bin && cp /usr/bin/env /usr/local/bin/able && setcap cap_net_raw+ep /usr/local/bin/able`,
  'mkdir -p /srv/app && for d in $(seq 40); do mkdir /srv/app/$d; for f in $(seq 100); do echo $d $f > /srv/app/$d/$f.js; done; done',
  `${FEW} 'NR % 3 == 0' | xargs rm`,
  `${FEW} 'NR % 5 == 0' | while read f; do echo over >> $f; done`,
  'rm -rf /srv/app/1 /srv/app/2 && mkdir /srv/app/1 && echo new > /srv/app/1/new && echo file > /srv/app/2',
  'rm -rf /srv/app && mkdir -p /srv/app/3 && echo again > /srv/app/3/3.js',
  'truncate -s 60M /srv/sparse && dd if=/dev/urandom of=/srv/random bs=1M count=8 2>/dev/null && mkfifo /srv/fifo',
  'find /etc -type f -newermt 2001-01-01 | head -200 | xargs touch -h -d 2001-02-03T04:05:06.789Z',
  'mv /usr/share/perl5 /usr/share/perl5-moved && mkdir /usr/share/perl5 && mv /usr/share/perl5-moved/* /usr/share/perl5/ && rmdir /usr/share/perl5-moved',
  'chmod u+s /usr/bin/python3.11 && chown 0:1000 /usr/bin/git',
  'apt-get clean && rm -rf /var/lib/apt/lists /var/log/*',
  `apt-get update && ${INSTALL} curl gcc jq libc6-dev perl`,
];

/** Layers of the image: Debian's base system, and one for each step. */
export const BUILT_LAYERS = STEPS.length + 1;

/**
 * Builds an image as people do: Debian's base system by debootstrap, and a layer on top for each of many steps, by buildah; takes minutes, the network and root.
 * @param folder for everything that it takes, about 2 GiB. @returns the folder of an OCI image layout with the image, its layers compressed by gzip.
 */
export async function buildImage(folder: string, print: (line: string) => void): Promise<string> {
  const base = `${folder}/base`;
  await mkdir(base);
  print('debootstrap …');
  await run('debootstrap', ['--variant=minbase', SUITE, base], { maxBuffer: MAX_OUTPUT_BYTES });
  const buildah = async (...args: string[]): Promise<string> => {
    const storage = ['--root', `${folder}/storage`, '--runroot', `${folder}/run`, '--storage-driver', 'overlay'];
    return (await run('buildah', [...storage, ...args], { maxBuffer: MAX_OUTPUT_BYTES })).stdout.trim();
  };
  const layer = async (from: string, number: number, change: (container: string) => Promise<unknown>): Promise<void> => {
    const container = await buildah('from', '--pull-never', from);
    await change(container);
    await buildah('commit', '--quiet', '--rm', container, `layer-${number}`);
  };
  await layer('scratch', 0, (container) => buildah('copy', '--quiet', container, base, '/'));
  for (const [index, script] of STEPS.entries()) {
    print(`layer ${index + 1} of ${STEPS.length}: ${script}`);
    await layer(`localhost/layer-${index}`, index + 1, (container) => buildah('run', '--isolation', 'chroot', container, '--', 'sh', '-ec', script));
  }
  await buildah('push', '--quiet', `localhost/layer-${STEPS.length}`, `oci:${folder}/image:latest`);
  return `${folder}/image`;
}
