/** The end of an HTTPS server, the operator's or that of pages. */
import type { Server } from 'node:https';

/**
 * Requests under way end; connections that stay open are cut.
 * @param graceMs how long they have
 */
export function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
