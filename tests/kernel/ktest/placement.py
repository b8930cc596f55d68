# SPDX-License-Identifier: GPL-2.0
"""The oracle: where every page has to be after a change of mems."""

from ktest import machine


def remap(node, old, new):
    """The n-th node of old goes to the n-th of new; what is too many folds."""
    old, new = sorted(old), sorted(new)
    return new[old.index(node) % len(new)]


def image(node, old, new):
    """Nodes on which a page of this node may be after mems changed, as a set."""
    if node in old:
        # A node of both sets keeps its pages where the sets differ in size.
        if len(old) != len(new) and node in new:
            return {node}
        return {remap(node, old, new)}
    if node in new:
        return {node}
    nearest = min(machine.distance(node, other) for other in new)
    return {other for other in new if machine.distance(node, other) == nearest}


def compose(node, masks):
    """Nodes on which a page may be after mems went through these masks in turn."""
    places = {node}
    for old, new in zip(masks, masks[1:]):
        places = set().union(*(image(place, old, new) for place in places))
    return places


def misplaced(before, after, masks):
    """Pages that are not where the masks put them: [(index, from, to, allowed)]."""
    wrong = []
    for index, (node, now) in enumerate(zip(before, after)):
        allowed = compose(node, masks) if node >= 0 else {node}
        if now not in allowed:
            wrong.append((index, node, now, sorted(allowed)))
    assert len(before) == len(after)
    return wrong


def assert_placed(load, before, masks):
    """Regions of a load that rests now: where they were, and where they have to be."""
    load.rest()
    for region, was in before.items():
        wrong = misplaced(was, load.pages(region), masks)
        assert not wrong, f"{region}: {len(wrong)} of {len(was)} pages, {wrong[:5]}"
    load.verify()


# Weights of nodes that get as much as the others.
EVEN = dict.fromkeys(range(4), 1)


def interleaved(address, count, nodes, weight, order=0):
    """The node of each page that a policy interleaves over nodes of these weights."""
    turn = [node for node in sorted(nodes) for _ in range(weight[node])]
    first = address // machine.PAGE
    return [turn[((first + i) >> order) % len(turn)] for i in range(count)]


def by_distance(old, new):
    """Every old node to the nearest new one; of equals to the one that has fewest."""
    ways = {node: node for node in old if node in new}
    for alone in (True, False):
        for node in sorted(set(old) - set(ways)):
            nearest = min(machine.distance(node, other) for other in new)
            near = [n for n in sorted(new) if machine.distance(node, n) == nearest]
            if alone and len(near) > 1:
                continue
            ways[node] = min(near, key=lambda n: list(ways.values()).count(n))
    return ways
