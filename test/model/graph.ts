/**
 * A graph of millions of moves in flat memory, and the one question asked of it: from where can the targets be reached?
 */

/** A growing array of 32-bit numbers. */
export class Numbers {
  #items = new Int32Array(1 << 12);
  length = 0;

  push(item: number): void {
    if (this.length === this.#items.length) {
      const larger = new Int32Array(2 * this.length);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.length++] = item;
  }

  at(index: number): number {
    return this.#items[index] ?? -1;
  }
}

export class Graph {
  readonly #from = new Numbers();
  readonly #to = new Numbers();

  add(from: number, to: number): void {
    this.#from.push(from);
    this.#to.push(to);
  }

  /** The lowest of the nodes 0 to `nodes` − 1 from which no target is reached; undefined when there is none. */
  firstAstray(nodes: number, targets: readonly number[]): number | undefined {
    // Edges into each node as a chain: the newest first, each with the one before.
    const newest = new Int32Array(nodes).fill(-1);
    const before = new Int32Array(this.#to.length).fill(-1);
    for (let edge = 0; edge < this.#to.length; edge++) {
      const to = this.#to.at(edge);
      before[edge] = newest[to] ?? -1;
      newest[to] = edge;
    }
    const reaches = new Uint8Array(nodes);
    const stack = [...targets];
    for (const target of targets) reaches[target] = 1;
    for (let at = stack.pop(); at !== undefined; at = stack.pop())
      for (let edge = newest[at] ?? -1; edge >= 0; edge = before[edge] ?? -1) {
        const source = this.#from.at(edge);
        if (reaches[source]) continue;
        reaches[source] = 1;
        stack.push(source);
      }
    const astray = reaches.indexOf(0);
    return astray < 0 ? undefined : astray;
  }
}
