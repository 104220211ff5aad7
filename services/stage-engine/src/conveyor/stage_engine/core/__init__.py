"""The heart of Conveyor: what one event does to one task. Pure: no clock, no disk, no network, no surprises raised."""
