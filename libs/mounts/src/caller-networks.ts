import { BlockList, isIP } from 'node:net';

/** Networks whose nodes are close to a share, by the share's name. */
export interface ShareNetworks {
  readonly share: string;
  /** Addresses, or networks such as `10.4.0.0/16`, from which the share is reached without leaving its own network. */
  readonly networks: readonly string[];
  /** Where nodes have the share mounted already, each by the networks of those nodes. */
  readonly folders: readonly { readonly path: string; readonly networks: readonly string[] }[];
}

/** What a caller's address says of where it stands. */
export interface CallerNetwork {
  /** Shares in whose networks it is. */
  readonly shares: ReadonlySet<string>;
  /** The folder of its host in which a share is mounted, by the share's name. */
  readonly folders: ReadonlyMap<string, string>;
}

interface Entry {
  readonly share: string;
  /** Undefined for the share's own networks. */
  readonly folder: string | undefined;
  readonly addresses: BlockList;
}

/** An IPv4 address as sockets for both families write it. */
const MAPPED_IPV4 = /^::ffff:(?<ipv4>[\d.]+)$/i;

/** Tells from a caller's address which shares it is close to. What it answers is one of a few values, made once. */
export class CallerNetworks {
  readonly #entries: readonly Entry[];
  /** By which entries hold the address: a digit for each. */
  readonly #known = new Map<string, CallerNetwork>();

  /** @throws for what is neither an address nor a network. */
  constructor(shares: Iterable<ShareNetworks>) {
    this.#entries = [...shares].flatMap(({ share, networks, folders }) => [
      ...(networks.length === 0 ? [] : [{ share, folder: undefined, addresses: blockList(networks) }]),
      ...folders.map((folder) => ({ share, folder: folder.path, addresses: blockList(folder.networks) })),
    ]);
  }

  /** Undefined for an address that is in none of the networks, or is no address. The first folder of a share counts. */
  of(address: string | undefined): CallerNetwork | undefined {
    if (address === undefined || this.#entries.length === 0) return undefined;
    const plain = MAPPED_IPV4.exec(address)?.groups?.['ipv4'] ?? address;
    const family = isIP(plain);
    if (family === 0) return undefined;
    let key = '';
    for (const { addresses } of this.#entries) key += addresses.check(plain, family === 4 ? 'ipv4' : 'ipv6') ? '1' : '0';
    if (!key.includes('1')) return undefined;
    let known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, (known = this.#network(key)));
    return known;
  }

  #network(key: string): CallerNetwork {
    const shares = new Set<string>();
    const folders = new Map<string, string>();
    for (const [n, { share, folder }] of this.#entries.entries()) {
      if (key[n] !== '1') continue;
      shares.add(share);
      if (folder !== undefined && !folders.has(share)) folders.set(share, folder);
    }
    return { shares, folders };
  }
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}
