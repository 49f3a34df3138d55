"""Checks recorded histories: is each key linearizable, and do revisions follow real time?

This module starts no process and opens no socket; test_checker.py gives it histories that are known
to be good or bad. The search is Wing and Gong's (1993) in Lowe's just-in-time order (2017): it
places an operation only when the return of one requires it, and remembers configurations. """

import copy
import math
from bisect import bisect_left, bisect_right
from itertools import accumulate

NEVER = math.inf
NEVER_READ = '(never read)'  # stands for every value of an unknown put that no read returned
ABSENT = (None, 0)  # a state is (value, revision); revision None: a write with an unknown revision


class Op:
    """One operation of one client, between two readings of the same clock.

    kind       'put' | 'get' | 'delete'
    value      put: what was written. get: what was read, None for an absent key
    condition  put, delete: None | ('absent',) | ('exists',) | ('match', revision)
    outcome    'ok'       it took effect between invoked and completed
               'refused'  a condition was not met: it looked at the key and changed nothing
               'unknown'  it may take effect at any time after invoked, or never
               'failed'   the store promised that it did not take effect
    revision   ok put and delete: its own. get: the key's. refused: the key's (0: absent)
    store      the store's revision at that instant (header Vesper-Revision), or None
    deleted    ok delete: 1 or 0
    """

    __slots__ = ('client', 'node', 'kind', 'key', 'value', 'condition', 'invoked', 'completed',
                 'outcome', 'revision', 'store', 'deleted', 'note')

    def __init__(self, kind, key, value=None, *, invoked, completed=NEVER, outcome='ok',
                 condition=None, revision=None, store=None, deleted=None, client=0, node=None,
                 note=''):
        self.kind, self.key, self.value, self.condition = kind, key, value, condition
        self.invoked, self.completed, self.outcome = invoked, completed, outcome
        self.revision, self.store, self.deleted = revision, store, deleted
        self.client, self.node, self.note = client, node, note

    def __repr__(self):
        end = '...' if self.completed == NEVER else f'{self.completed / 1e6:.3f}'
        begin = f'{self.invoked / 1e6:.3f}'
        what = f'{self.kind} {self.key!r}'
        if self.kind == 'get':
            what += f' -> {self.value!r}'
        elif self.kind == 'put':
            what += f' = {self.value!r}'
        else:
            what += f' -> deleted {self.deleted}'
        if self.condition:
            what += f' if {self.condition}'
        where = f'client {self.client}' + ('' if self.node is None else f' at node {self.node}')
        return (f'[{begin} .. {end}] {where}: {what} {self.outcome} revision={self.revision} '
                f'store={self.store} {self.note}').rstrip()


class Violation:
    def __init__(self, rule, detail, ops=()):
        self.rule, self.detail, self.ops = rule, detail, list(ops)

    def __str__(self):
        lines = [f'{self.rule}: {self.detail}'] + [f'    {op!r}' for op in self.ops]
        return '\n'.join(lines)


def condition_holds(condition, state):
    """True, False, or None if the state's revision is not known."""
    value, revision = state
    if condition is None:
        return True
    if condition[0] == 'absent':
        return value is None
    if condition[0] == 'exists':
        return value is not None
    if value is None:
        return False
    return None if revision is None else revision == condition[1]


def agrees(seen, state):
    """True if the key's revision `seen` (None: not seen, 0: absent) could be that of `state`."""
    if seen is None:
        return True
    value, revision = state
    if value is None or seen == 0:
        return (value is None) == (seen == 0)
    return revision is None or revision == seen


def step(state, op):
    """The state after `op`, or None if `op` could not have had its result in `state`."""
    value, revision = state
    if op.kind == 'get':
        if op.value != value or (value is not None and not agrees(op.revision, state)):
            return None
        return state if op.revision is None or value is None else (value, op.revision)
    holds = condition_holds(op.condition, state)
    if op.outcome == 'refused':
        return state if holds is not True and agrees(op.revision, state) else None
    if holds is False:
        return None
    if op.kind == 'delete':
        if op.outcome == 'unknown' or op.deleted == 1:
            after = None if value is None else (None, op.revision)
        else:
            return state if value is None else None
    else:
        after = (op.value, op.revision)
    # Revisions of one key rise in the order in which its writes took effect.
    if after and revision is not None and op.revision is not None and op.revision <= revision:
        return None
    return after


def observes(op):
    """True if the result or the effect of `op` depends on whether the key exists."""
    return op.kind == 'delete' or op.condition is not None


def wrote(op):
    """True if the operation is known to have changed the store."""
    return op.outcome == 'ok' and (op.kind == 'put' or op.deleted == 1)


def store_seen(op):
    """The revision of the store at some instant between invoked and completed, or None."""
    if op.outcome not in ('ok', 'refused'):
        return None
    return op.revision if wrote(op) else op.store


class Gaps:
    """The revisions that no acknowledged write of the history has. A write with an unknown outcome
    that took effect has one of them, given between what was seen before it began and what was seen
    after it must have happened. So it has to be considered only where there is such a revision."""

    def __init__(self, ops):
        seen = [(op, at) for op in ops if (at := store_seen(op)) is not None]
        self.owned = sorted({at for op, at in seen if wrote(op)})
        ends = sorted((op.completed, at) for op, at in seen)
        starts = sorted(((op.invoked, at) for op, at in seen), reverse=True)
        self.ends = [time for time, _ in ends]
        self.highest = [0, *accumulate((at for _, at in ends), max)]
        self.starts = [-time for time, _ in starts]
        self.lowest = [NEVER, *accumulate((at for _, at in starts), min)]

    def floor(self, time):
        """The store had reached this revision before `time`."""
        return self.highest[bisect_left(self.ends, time)]

    def ceiling(self, time):
        """The store had not passed this revision at `time`."""
        return self.lowest[bisect_left(self.starts, -time)]

    def any_in(self, above, up_to):
        """True if there is one above the one and not above the other."""
        if up_to == NEVER:
            return True
        return up_to - above > bisect_right(self.owned, up_to) - bisect_right(self.owned, above)


class KeySearch:
    """Lowe's search over the operations of one key, in order of time. `gaps`: of the history."""

    def __init__(self, ops, gaps=None, limit=2_000_000):
        self.events = sorted([(op.invoked, 0, i) for i, op in enumerate(ops)] +
                             [(op.completed, 1, i) for i, op in enumerate(ops)
                              if op.completed != NEVER])
        self.ops = ops
        self.pending = {}  # bit -> op; an unknown operation keeps its bit until it is placed
        self.bit_of = {}
        self.free = []
        self.bits = 0
        self.configurations = {(ABSENT, 0)}
        self.limit = max(limit, 100 * len(ops))  # configurations to try before it gives up
        self.looked_at = 0
        self.gaps = gaps
        self.ceiling = NEVER  # of the return that is being explained
        self.floor_of = {id(op): gaps.floor(op.invoked) for op in ops
                         if gaps and op.completed == NEVER}

    def run(self):
        """None if some order explains everything, else a Violation."""
        for _, is_return, i in self.events:
            op = self.ops[i]
            if not is_return:
                if not self.free:
                    self.free.append(1 << self.bits)
                    self.bits += 1
                bit = self.free.pop()
                self.bit_of[i] = bit
                self.pending[bit] = op
                continue
            before = self.configurations
            bit = self.bit_of[i]
            if self.gaps:  # what is placed now comes before `op`
                seen = store_seen(op)
                self.ceiling = min(self.gaps.ceiling(op.completed), NEVER if seen is None else seen)
            self.configurations = self.place(bit)
            if self.looked_at > self.limit:
                return Violation('search gave up', f'{self.looked_at} configurations', [op])
            if not self.configurations:
                return self.explain(op, before, i)
            del self.pending[bit]
            self.free.append(bit)
            self.forget_placed()
        return None

    def place(self, bit):
        """Every configuration reachable by placing operations up to the one of `bit`."""
        candidates, twins = self.candidates()
        reached, seen, stack = set(), set(self.configurations), list(self.configurations)
        while stack:
            state, placed = stack.pop()
            self.looked_at += 1
            if placed & bit:
                reached.add((state, placed & ~bit))
                continue
            fresh = [next(((b, op) for b, op in group if not placed & b), None) for group in twins]
            for other, op in candidates + [c for c in fresh if c]:
                if placed & other or not self.may_come_after(state, op):
                    continue
                after = step(state, op)
                if after is None:
                    continue
                found = (after, placed | other)
                if found not in seen:
                    seen.add(found)
                    stack.append(found)
        return self.undominated(reached)

    def may_come_after(self, state, op):
        """False if there is no revision that the write with the unknown outcome could have had."""
        if self.gaps is None or op.completed != NEVER or op.revision is not None:
            return True
        return self.gaps.any_in(max(self.floor_of[id(op)], state[1] or 0), self.ceiling)

    def undominated(self, configurations):
        """Drops redundant configurations: of two in the same state, the one that has placed more
        unknown operations can do nothing that the other cannot."""
        unknown = sum(b for b, op in self.pending.items() if op.completed == NEVER)
        groups = {}
        for state, placed in configurations:
            groups.setdefault((state, placed & ~unknown), []).append(placed)
        kept = set()
        for (state, _), group in groups.items():
            group.sort(key=int.bit_count)
            least = []
            for placed in group:
                if all(p & ~placed for p in least):
                    least.append(placed)
            kept.update((state, placed) for placed in least)
        return kept

    def candidates(self):
        """The operations worth placing now. An unknown operation is worth placing only if something
        pending can observe it: it may move to just before its first observer, and without one be
        left out. Unknown operations that differ only in their start form a group, oldest first."""
        known = [(b, op) for b, op in self.pending.items() if op.completed != NEVER]
        read = {op.value for _, op in known if op.kind == 'get'}
        any_observer = any(observes(op) for op in self.pending.values())

        def seen(op):
            return any_observer or (op.value if op.kind == 'put' else None) in read
        single, puts, deletes = known, [], []
        for bit, op in sorted(self.pending.items(), key=lambda p: p[1].invoked):
            if op.completed != NEVER or not seen(op) or not self.may_come_after(ABSENT, op):
                continue
            if op.condition is None and op.kind == 'delete':
                deletes.append((bit, op))
            elif op.condition is None and op.value is NEVER_READ:
                puts.append((bit, op))
            else:
                single.append((bit, op))
        return single, [puts, deletes]

    def forget_placed(self):
        """Frees the bit of an unknown operation that every configuration has placed."""
        common = -1
        for _, placed in self.configurations:
            common &= placed
        done = [b for b, op in self.pending.items() if op.completed == NEVER and common & b]
        for bit in done:
            self.configurations = {(s, p & ~bit) for s, p in self.configurations}
            del self.pending[bit]
            self.free.append(bit)

    def explain(self, op, before, i):
        states = sorted({str(s) for s, _ in before})[:8]
        past = [self.ops[j] for _, is_return, j in self.events
                if is_return and self.ops[j].completed <= op.completed and j != i][-8:]
        return Violation('not linearizable',
                         f'no order of {op.key!r} gives this result; (value, revision) before it '
                         f'was one of {states}; below: the last operations before it, what was '
                         'pending, and the operation itself',
                         past + [p for p in self.pending.values() if p is not op] + [op])


def bind_revisions(ops):
    """Gives unknown puts the revision under which their value was read, so that the search does not
    have to guess it. Finds values that were read but never written, or under two revisions."""
    writers, violations, bound = {}, [], {}
    for op in ops:
        if op.kind == 'put' and op.outcome in ('ok', 'unknown'):
            writers.setdefault(op.value, []).append(op)
    for op in ops:
        if op.kind != 'get' or op.outcome != 'ok' or op.value is None:
            continue
        wrote = writers.get(op.value)
        if not wrote:
            violations.append(Violation('never written', f'{op.value!r} was read', [op]))
            continue
        if len(wrote) > 1 or op.revision is None:
            continue
        write = wrote[0]
        revision = bound.setdefault(op.value, write.revision or op.revision)
        if revision != op.revision:
            violations.append(Violation('two revisions', f'{op.value!r} has revision {revision} '
                                        f'and was read under {op.revision}', [write, op]))
        if write.outcome == 'unknown':
            write.revision = revision
    return violations


def check_key(ops, gaps=None):
    """Checks the operations of one key against a register; None or a Violation."""
    read = {op.value for op in ops if op.kind == 'get' and op.outcome == 'ok'}
    relevant = []
    for op in ops:
        if op.outcome == 'failed' or (op.kind == 'get' and op.outcome != 'ok'):
            continue  # no effect, and observed nothing
        if op.outcome == 'unknown':
            op = copy.copy(op)
            op.completed = NEVER
            if op.kind == 'put' and op.value not in read:
                op.value = NEVER_READ
        relevant.append(op)
    violations = bind_revisions(relevant)
    return violations[0] if violations else KeySearch(relevant, gaps).run()


def check_revisions(ops):
    """Over all keys: each revision belongs to one write, and no operation that starts after a reply
    sees an older store (writes and linearizable reads)."""
    violations, owner, events = [], {}, []
    for op in ops:
        if op.outcome not in ('ok', 'refused'):
            continue
        at = store_seen(op)
        if wrote(op) and op.revision is not None:
            if op.revision in owner:
                violations.append(Violation('one revision, two writes', str(op.revision),
                                            [owner[op.revision], op]))
            owner[op.revision] = op
        if op.kind == 'get' and op.value is not None and None not in (op.store, op.revision):
            if op.revision > op.store:
                violations.append(Violation('read from the future', 'key above store', [op]))
        if at is not None:
            events.append((op.invoked, 0, len(events), op, at))
            events.append((op.completed, 1, len(events), op, at))
    events.sort(key=lambda e: e[:3])
    reached, reached_by, floor = 0, None, {}
    for _, is_return, _, op, at in events:
        if not is_return:
            floor[id(op)] = (reached, reached_by)
            continue
        least, by = floor.pop(id(op))
        if at < least or (wrote(op) and at == least):
            violations.append(Violation('back in time', f'revision {at} after {least} had been '
                                        'answered', [by, op]))
        if at > reached:
            reached, reached_by = at, op
    return violations


def check(ops):
    """Every violation of a history, at most one per key for linearizability."""
    keys = {}
    for op in ops:
        keys.setdefault(op.key, []).append(op)
    found = check_revisions(ops)
    gaps = Gaps(ops)
    for key in sorted(keys):
        violation = check_key(keys[key], gaps)
        if violation:
            found.append(violation)
    return found
