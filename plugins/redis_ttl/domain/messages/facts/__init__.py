"""What each kind of message is about: its facts, in no language.

Facts are plain and complete: whoever renders them asks nobody anything. A team gets its own rows only; figures of the cluster are
those of all of it. Moments are ISO 8601 with their offset, ratios are fractions of 1, durations are seconds.

All of them say what they are about (``kind``), to which team (``owner``), and how soon it must be read (``urgency``). ``thread`` names
what a message belongs to: a later one about the same goes on from there. ``items`` are the single things that it tells: when all of
them were told not long ago, it isn't sent. Figures are no items, so a count that moves is no news. ``link`` is the address of a page
that shows more.
"""
