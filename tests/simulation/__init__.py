"""A seeded simulation of everything that publishes, reads and deletes in one bucket.

The library runs unchanged over a bucket in memory (`bucket`) behind a network that fails
(`network`); one seed decides the order of all events (`world`). `invariants` are asked after
every event; `scenario` says who is there, `runs`, `readers` and `people` what they do, `focus`
what is frequent in which seed. `mutations` put fixed bugs back.
"""
