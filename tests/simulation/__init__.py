"""A seeded simulation of everything that publishes, reads and deletes in one bucket.

The library runs unchanged over a bucket in memory (`bucket`) behind a network that fails
(`network`); one seed decides the order of all events (`world`). `invariants` are checked after
every event. `scenario` starts the processes, `runs`, `readers` and `people` define what they do,
and `focus` which events are frequent in a seed. `mutations` put fixed bugs back.
"""
