"""What keeps an agent in its place. What holds so far, and what does not yet.

What holds:

- its environment is an allow-list (`core.plan`): none of our secrets is in it, and git credentials are the runner's;
- HOME is a folder of its own, temporary files go to a folder of the run that is removed with it;
- it runs in a session of its own and nothing of it survives the run (`process`);
- the runner's git ignores hooks and configuration that the agent could have written (`workspace`).

What does not hold yet: it runs as the runner's user and sees that user's files, the network and other processes; a
process that clears its environment and leaves its session is not found. Until then give a runner a user, or a
container, of its own.
"""
