/** A transaction that can be asked something; TypeORM's `EntityManager` is one. */
export interface FencedTransaction {
  query<Rows>(sql: string, parameters?: unknown[]): Promise<Rows>;
}

/**
 * A right to write that ends when another takes it over, whether or not its holder notices: it may have been paused between looking and writing. So a store that is given a fence asks it in the
 * transaction that writes, as its last statement before the commit: from there on nobody takes the right over before the transaction ends, and whatever the transaction had to wait for is behind it.
 */
export abstract class WriteFence {
  /**
   * Makes sure of the right until `transaction` ends; without one, at this instant, which is enough for stores in memory.
   * @throws the holder's own coded error once the right is lost: the transaction must not be committed.
   */
  abstract hold(transaction?: FencedTransaction): Promise<void>;
}
