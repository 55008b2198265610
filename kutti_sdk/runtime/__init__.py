"""What everything leans on: folders, state files, locks, processes, the asyncio island.

Knows nothing of networks, hosts or images.
"""
