import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { expandBytes, layerOf, type RawTarEntry, tarOf } from '#expansion/testing';
import { MiB } from '#quantities';
import { LAYER_FILE_VERSION } from '#shares';

/** Bytes without repetition that depend on their seed alone. */
function noise(sizeBytes: number, seed: string): Buffer {
  const blocks = Array.from({ length: Math.ceil(sizeBytes / 64) }, (_, index) => createHash('sha512').update(`${seed}${index}`).digest());
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}
const folder = (name: string): RawTarEntry => ({ name: `${name}/`, type: '5', mode: 0o755 });
const hole = (name: string, realSizeBytes: number, runs: readonly (readonly [offset: number, text: string])[]): RawTarEntry => ({
  name: 'sparse',
  pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': name, 'GNU.sparse.realsize': String(realSizeBytes) },
  contents: `${runs.length}\n${runs.map(([offset, text]) => `${offset}\n${text.length}\n`).join('')}`.padEnd(512, '\0') + runs.map(([, text]) => text).join(''),
});

/** One layer for each class of structures that the file can hold. */
const LAYERS: Readonly<Record<string, () => RawTarEntry[]>> = {
  'nothing': () => [],
  'directories alone': () => [{ ...folder('.'), mode: 0o750, uid: 1, gid: 2 }, folder('a'), folder('a/b'), folder('a/b/c'), { ...folder('d'), mode: 0o1777 }],
  'small files, inline directories': () => [folder('etc'), { name: 'etc/hosts', contents: '127.0.0.1 localhost\n' }, { name: 'etc/empty' }, { name: 'etc/hard', type: '1', linkName: 'etc/hosts' }, { name: 'etc/block', contents: noise(4096, 'block') }],
  'a directory of many blocks': () => [folder('many'), ...Array.from({ length: 1000 }, (_, index) => ({ name: `many/${index}-${'n'.repeat(index % 80)}`, contents: index % 10 === 0 ? 'x' : '' }))],
  'inline attributes': () => [{ name: 'f', pax: { 'SCHILY.xattr.user.note': 'text', 'SCHILY.xattr.trusted.empty': '', 'SCHILY.xattr.security.capability': '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0' } }, { ...folder('d'), pax: { 'SCHILY.xattr.user.note': 'text' } }],
  'shared attributes': () => [...['a', 'b', 'c'].map((name) => ({ name, pax: { 'SCHILY.xattr.trusted.big': 'v'.repeat(5000), [`SCHILY.xattr.trusted.own-${name}`]: name.repeat(2000) } })), { name: 'd', pax: { 'SCHILY.xattr.trusted.largest': 'w'.repeat(65_535) } }],
  'devices and pipes': () => [{ name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 }, { name: 'last', type: '3', major: 4095, minor: 1_048_575 }, { name: 'disk', type: '4', major: 259, minor: 65_536 }, { name: 'pipe', type: '6' }],
  'links, short and long': () => [{ name: 'short', type: '2', linkName: 'target' }, { name: 'long', type: '2', pax: { linkpath: 't/'.repeat(2047) } }, ...Array.from({ length: 70 }, (_, index) => ({ name: `l${index}`, type: '2', linkName: 'x'.repeat(index + 1) }))],
  'whiteouts and opaque directories': () => [{ name: '.wh.gone' }, { name: 'opaque/.wh..wh..opq' }, { name: 'opaque/new', contents: 'new' }, { name: '.wh.replaced' }, folder('replaced'), { name: 'a.wh.b' }],
  'times, owners and names of every kind': () => [
    { name: 'early', pax: { mtime: '-86400.75' } }, { name: 'fine', pax: { mtime: '1700000000.123456789' } }, { name: 'late', pax: { mtime: '17179869184.5' } }, { name: 'owned', uid: 65_534, gid: 1000, mode: 0o6711, pax: { uid: '4294967294' } },
    { name: 'caf\xe9' }, { name: '\xff' }, { name: 'long', pax: { path: `implied/${'n'.repeat(255)}` } },
  ],
  'holes': () => [hole('start', 100_000, [[90_000, 'end']]), hole('middle', 12 * MiB, [[0, 'start'], [9 * MiB + 5, 'middle'], [12 * MiB - 3, 'end']]), hole('only', 6 * MiB, [[6 * MiB, '']]), { name: 'zeros', contents: new Uint8Array(5 * MiB) }],
  'files of several pieces': () => [{ name: 'large', contents: noise(9_000_000, 'large') }, { name: 'larger', contents: noise(4 * MiB, 'larger') }, { name: 'small', contents: 'x' }],
  'many entries': () => Array.from({ length: 12_000 }, (_, index) => ({ name: `${index % 7}/${index % 101}/${index}`, contents: index % 1000 === 0 ? `${index}` : '', uid: index % 5 })),
  'replacements': () => [{ name: 'f', contents: 'first' }, { name: 'f', contents: 'second' }, folder('d'), { name: 'd/x', contents: 'gone' }, { name: 'd', contents: 'a file' }, folder('d'), { name: 'd/y' }, { name: 'lib', type: '2', linkName: 'd' }, { name: 'lib/z' }],
};

/** What a layer becomes: of which tar, which bytes, with which hash tree. */
interface Golden {
  readonly diffId: string;
  readonly vhd: string;
  readonly rootHash: string;
}

/**
 * The bytes of files of one version, for ever. When a test below fails, the writer gives other bytes to layers that stand on shares already: that is a new
 * {@link LAYER_FILE_VERSION} with a new list, never a change of this one.
 */
const GOLDEN_VERSION = 2;
const GOLDEN: Readonly<Record<string, Golden>> = {
  'nothing': {
    diffId: 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
    vhd: 'sha256:6fd105cb840c03fdb0e8fd9a8019d93f78413d446ba890b6e41e48bb856d6959',
    rootHash: '8f3a50162512ad2a86f575d86487cdd571d11956ae16986919efc6c2d7ecb3ff',
  },
  'directories alone': {
    diffId: 'sha256:7547e1dc21efc3ad97c69e91117d2a8c62187982a4e8e01941e8e18222726747',
    vhd: 'sha256:860ad625bc1872402ad88b0c1070eac2b58973dc9e85300e9aec4b14a388255c',
    rootHash: '2aa398238e3db9f83f024a4fa7ec6d7afc701c185647e54d835eeedb13201b6f',
  },
  'small files, inline directories': {
    diffId: 'sha256:32aa11a6063b74a84d861a928f3eb1e65e9e6f48be5821d3336b7dcf05da2bea',
    vhd: 'sha256:b8b921a2d8863536cecd18a77682153cfd8d236de3abd5a56bfcb40fc214843e',
    rootHash: 'a5c715ae15a456c8ca002ab2e8dce72c54ffd6d832b184ac3b8f6455a8ae1544',
  },
  'a directory of many blocks': {
    diffId: 'sha256:59576aaa8cd2ee362a490a1a180afe4555ae696e593bd3efb97fad881ba76458',
    vhd: 'sha256:ed07e69092344f43bbb534b316bae7ddb0abd35de06b3824c4d8a783832302cd',
    rootHash: 'b385a2849f1dd41fe3e0ce9fe051a0640983907c45525786965054745b72b2ae',
  },
  'inline attributes': {
    diffId: 'sha256:38327ce5e9a4df2a0417b983678bcb44b1c68adbbc5dbf6fcfee1c24f158c2fc',
    vhd: 'sha256:d8d263d19e6c81753f8ee60b24cab74fbcbb4d7188b9a9c3aee6c7b723a5d554',
    rootHash: '81d3e8fa2b3826a7d1171f86ee0142b126faf66e014f31e9731ee3a7c1403e19',
  },
  'shared attributes': {
    diffId: 'sha256:abfecef46c26d74bae580179a7c905e4c2d1e4fa6f752b34c34cfbd75b40d7dd',
    vhd: 'sha256:1f0e7c7f8f5f1ab7387788de416deed0500183a4a2cb5cc766f60588fa7c9db8',
    rootHash: '5b334161e9b45eeec8af46a9a25bf644019869ffcc7067affc003b180b79c541',
  },
  'devices and pipes': {
    diffId: 'sha256:ab4f41a08653d0006b61914236de1ec7285194ad96deaa582a91da4606d75734',
    vhd: 'sha256:da2d05bb08734de8156049d447f17bf9a09f3bc2a185099dbf2a17c0d1c02e50',
    rootHash: '53e6c1cdd896e2d87e7267eff5ab3b069f708b1c0a7a352899872a7e59cc7666',
  },
  'links, short and long': {
    diffId: 'sha256:a42d5b56f486d4d6c10ead962ba7ef880faf0c212976c1011d8a07151853752e',
    vhd: 'sha256:ebd007e4b1a39d66a57fc42a8842325ddfbd3ae0e8786f711c38f9efd2e2481b',
    rootHash: '91dade0f3e943effa08a2e7e9e0bccb214262462f5acf8960522dbb543ef62d5',
  },
  'whiteouts and opaque directories': {
    diffId: 'sha256:00073b59e05b074d94146dc0765f9307da5eb37d0a59193ea0a5002657deae44',
    vhd: 'sha256:a6712cad8a00d9b3fa5bbe293e0722353b85a2feaec6b1b44cc898f13cb0402e',
    rootHash: 'f506e77eb9fe8f5d50bc698af52be4f1f748245a953e6349f11708665ccd52bd',
  },
  'times, owners and names of every kind': {
    diffId: 'sha256:7b8bc9479b0cc6c68b613c88e21f0d0a4007dd4583164a222936a21d717dd9b0',
    vhd: 'sha256:015d2ada205cc24a284edb4e7dde75ff3f3cded756e391081d12ffc3b79efac1',
    rootHash: 'd8801f8d6305e6a754bdd3271d7be516d2d98d3b6e467b6256327c86ce61f4db',
  },
  'holes': {
    diffId: 'sha256:e53cfe98f22e8c2d688c7305e7dc6b86a387cc6596c2470ff263071229b00f50',
    vhd: 'sha256:b65a1d0e5543ab95308269bd92d9204123c96038e13c376ff11090d358aa6f24',
    rootHash: '77fe72db7f89b1125cb74feca150044b2ee97d65270499d697e0bc63ca1b4cf0',
  },
  'files of several pieces': {
    diffId: 'sha256:9ae6ac10fcce94a572905663d6b9fc4816b24bea68fa9f835e28d1a0dd53dc79',
    vhd: 'sha256:4ce4ad5c20842b476eb208f9b225c6befc8232db5590af63877ccfc0b069bf92',
    rootHash: '719d3ef44016dc3d1ea1bf6596d7f7d05d3c9bdbab0c9b076dd11d0e5ecc4928',
  },
  'many entries': {
    diffId: 'sha256:497b2943f3ef49877a098d517b859ff91b06337bf43b9f1633b1289becce0cc1',
    vhd: 'sha256:f4bd3cb5f0907bb9295ab0414bdc53890f524fb59888e5531fbea1e3c63a54a5',
    rootHash: 'a4b1a07e952c28da9f2ac468aef2a7f507d0ddaca3d2518dac31068d067c7bdb',
  },
  'replacements': {
    diffId: 'sha256:4fe9fd504235e2fba114cb3b1bad3e6003b7ffd6fe6bb391db6daeb5928e5aa5',
    vhd: 'sha256:866131dc151357cb61ac38a10edfe0ec8bdac45c482c59c1220a64fa04a293cb',
    rootHash: '1816e71c22806d2df907e1d240f693df9fcd9a0497ca692ba0fb960250d74f63',
  },
};

describe(`the file of a layer, version ${GOLDEN_VERSION}`, () => {
  it('is the version that is written', () => {
    expect(LAYER_FILE_VERSION).toBe(GOLDEN_VERSION);
  });

  it.each(Object.entries(LAYERS))('has the golden bytes for %s', async (name, entries) => {
    const { expanded } = await expandBytes(layerOf(tarOf(...entries())));
    expect({ version: expanded.writerVersion, diffId: expanded.diffId, vhd: expanded.vhd.digest, rootHash: expanded.verity?.rootHash }).toEqual({ version: GOLDEN_VERSION, ...GOLDEN[name] });
  });
});
