"""SQL over PostgreSQL's protocol, version 3.0: the face for everything that speaks to PostgreSQL.

A connection takes this path, in a thread of its own:

1. `server` accepts it, `startup` negotiates TLS and the protocol, or passes a cancel on; `authentication` finds out who
   it is.
2. `connection` reads whole messages of a bounded size, and collects what is to be sent; `messages` knows their bytes.
3. `protocol` takes one message after the other: a simple query, or the steps of the extended protocol.
4. `session` is what a session has: settings, a transaction, prepared statements, portals. `statements` does what one
   statement asks for, over the session; `notifications` tells sessions what was invalidated.
5. `portals` pulls an answer batch by batch. Sending blocks, and that holds the query back, down to its sources.
"""
