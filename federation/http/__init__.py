"""SQL over HTTP: the server face of the engine.

A request takes this path:

1. `limits` bounds its body, in bytes and in time; `auth` finds out who asks.
2. `formats` reads from Accept and Accept-Encoding how the answer is to look.
3. `queries` admits the query, or says to come back later.
4. `stream` lets `workers`, a bounded pool of threads, plan it and encode it chunk by chunk; the event loop only sends.
5. `problems` turns whatever failed into an RFC 9457 document, as long as nothing has been sent; afterwards the
   connection is broken, so that no failure looks like a short answer.

With `--workers`, `supervisor` accepts the connections and hands each to a `process`, where it takes this path. What
only another process knows is asked of the `siblings`.
"""
