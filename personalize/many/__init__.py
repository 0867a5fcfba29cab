"""Many users: everyone in a store is fitted, by the cores of this machine or by a cluster of Ray."""
