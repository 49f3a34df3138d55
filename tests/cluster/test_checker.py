"""The checker with histories that are known to be good or bad: a checker that never objects proves
nothing. Includes random histories of a correct register, and damaged copies of them."""

import random
import sys
import time

from checker import ABSENT, NEVER, Op, check, check_key, check_revisions, step
from runner import case, expect, run


def put(begin, end, value, **more):
    return Op('put', 'k', value, invoked=begin, completed=end, **more)


def get(begin, end, value, **more):
    return Op('get', 'k', value, invoked=begin, completed=end, **more)


def delete(begin, end, deleted, **more):
    return Op('delete', 'k', invoked=begin, completed=end, deleted=deleted, **more)


def unknown(begin, value, **more):
    return Op('put', 'k', value, invoked=begin, outcome='unknown', **more)


def good(*ops):
    violation = check_key(list(ops))
    expect(violation is None, lambda: f'reported as bad:\n{violation}')


def bad(*ops, rule='not linearizable'):
    violation = check_key(list(ops))
    expect(violation is not None, f'reported as good: {ops}')
    expect(violation.rule == rule, lambda: f'{violation}\nexpected: {rule}')


@case('a read sees the last write that was answered before it')
def _():
    good(put(0, 1, 'a'), get(2, 3, 'a'), put(4, 5, 'b'), get(6, 7, 'b'))
    good(get(0, 1, None), put(2, 3, 'a'), delete(4, 5, 1), get(6, 7, None), delete(8, 9, 0))


@case('a stale read is found')
def _():
    bad(put(0, 1, 'a'), put(2, 3, 'b'), get(4, 5, 'a'))
    bad(put(0, 1, 'a'), get(2, 3, None))
    bad(put(0, 1, 'a'), delete(2, 3, 1), get(4, 5, 'a'))


@case('an acknowledged write that is lost is found')
def _():
    bad(put(0, 1, 'a'), put(2, 3, 'b'), get(10, 11, 'a'))
    bad(put(0, 1, 'a'), delete(2, 3, 0))


@case('reads during a write may see either value, but not the new one and then the old one')
def _():
    good(put(0, 1, 'a'), put(2, 9, 'b'), get(3, 4, 'a'), get(5, 6, 'b'))
    good(put(0, 1, 'a'), put(2, 9, 'b'), get(3, 6, 'b'), get(4, 5, 'a'))
    bad(put(0, 1, 'a'), put(2, 9, 'b'), get(3, 4, 'b'), get(5, 6, 'a'))


@case('two writes at once take effect in one order that all readers see')
def _():
    good(put(0, 5, 'a'), put(0, 5, 'b'), get(6, 7, 'a'), get(8, 9, 'a'))
    good(put(0, 5, 'a'), put(0, 5, 'b'), get(6, 7, 'b'))
    bad(put(0, 5, 'a'), put(0, 5, 'b'), get(6, 7, 'a'), get(8, 9, 'b'))


@case('a read of a value that no client wrote is found')
def _():
    bad(put(0, 1, 'a'), get(2, 3, 'x'), rule='never written')
    bad(Op('put', 'k', 'a', invoked=0, completed=1, outcome='failed'), get(2, 3, 'a'),
        rule='never written')


@case('an unknown write may take effect early, late or never, but not twice')
def _():
    good(put(0, 1, 'a'), unknown(2, 'u'), get(3, 4, 'a'), get(50, 51, 'u'), get(60, 61, 'u'))
    good(put(0, 1, 'a'), unknown(2, 'u'), get(3, 4, 'u'))
    good(put(0, 1, 'a'), unknown(2, 'u'), get(3, 4, 'a'), get(90, 91, 'a'))
    bad(put(0, 1, 'a'), unknown(2, 'u'), get(3, 4, 'u'), put(5, 6, 'b'), get(7, 8, 'u'))
    bad(put(0, 1, 'a'), unknown(2, 'u'), get(3, 4, 'u'), get(5, 6, 'a'))
    bad(put(0, 1, 'a'), get(2, 3, 'u'), unknown(4, 'u'))


@case('two unknown writes may take effect in any order, each once')
def _():
    good(unknown(0, 'u'), unknown(0, 'v'), get(5, 6, 'v'), get(7, 8, 'u'))
    good(unknown(0, 'u'), unknown(0, 'v'), get(5, 6, 'u'), get(7, 8, 'v'))
    good(unknown(0, 'u'), unknown(0, 'v'), get(5, 6, None), get(7, 8, 'v'))
    bad(unknown(0, 'u'), unknown(0, 'v'), get(5, 6, 'u'), get(7, 8, 'v'), get(9, 10, 'u'))
    bad(unknown(0, 'u'), unknown(0, 'v'), get(5, 6, 'u'), get(7, 8, None))


@case('an unknown write explains nothing if other writes have all revisions that it could have')
def _():
    def history(seen, *more):
        return [put(0, 1, 'a', revision=2), delete(2, 3, 1, revision=3), unknown(4, 'u'), *more,
                put(20, 21, 'x', outcome='refused', condition=('absent',), store=seen)]

    def other(begin, revision):
        return Op('put', 'other', 'v', invoked=begin, completed=begin + 1, revision=revision)
    expect(not check(history(4)), 'it may have revision 4')
    expect(check(history(3)), 'the store was at 3')
    expect(not check(history(5, other(6, 5))), 'it may have revision 4')
    expect(check(history(5, other(6, 4), other(8, 5))), 'both revisions are those of other writes')
    expect(check(history(5, other(2, 5))), 'revision 4 was given before it began')


@case('an unknown delete explains one disappearance and no more')
def _():
    gone = Op('delete', 'k', invoked=2, outcome='unknown')
    good(put(0, 1, 'a'), gone, get(5, 6, 'a'), get(7, 8, None))
    bad(put(0, 1, 'a'), gone, get(5, 6, None), put(7, 8, 'b'), get(9, 10, None))
    good(put(0, 1, 'a'), gone, put(3, 4, 'b', condition=('absent',)))


@case('a request that only asks whether a key exists sees an unknown write')
def _():
    good(unknown(0, 'u'), delete(5, 6, 1))
    bad(unknown(0, 'u'), delete(5, 6, 1), delete(7, 8, 1))
    good(unknown(0, 'u'), put(5, 6, 'x', outcome='refused', condition=('absent',)))
    good(unknown(0, 'u'), unknown(0, 'v', condition=('exists',)), get(5, 6, 'v'))
    bad(unknown(0, 'v', condition=('exists',)), get(5, 6, 'v'))


@case('of two writes that require an absent key only one can be acknowledged')
def _():
    absent = {'condition': ('absent',)}
    good(put(0, 5, 'a', **absent), put(0, 5, 'b', outcome='refused', **absent), get(6, 7, 'a'))
    bad(put(0, 5, 'a', **absent), put(0, 5, 'b', **absent))
    bad(put(0, 5, 'a', outcome='refused', **absent))


@case('If-Match is judged against the revision at the instant of the write')
def _():
    good(put(0, 1, 'a', revision=2), put(2, 3, 'b', revision=3, condition=('match', 2)))
    bad(put(0, 1, 'a', revision=2), put(2, 3, 'b', revision=3),
        put(4, 5, 'c', revision=4, condition=('match', 2)))
    bad(put(0, 1, 'a', revision=2),
        put(2, 3, 'b', outcome='refused', revision=2, condition=('match', 2)))
    good(put(0, 1, 'a', revision=2), unknown(2, 'u'),
         put(3, 4, 'b', outcome='refused', condition=('match', 2)))
    bad(put(0, 1, 'a', revision=2), unknown(2, 'u'), get(3, 4, 'u', revision=5),
        put(6, 7, 'b', revision=6, condition=('match', 2)))


@case('revisions of a key rise in the order of its writes')
def _():
    good(put(0, 9, 'a', revision=3), put(0, 9, 'b', revision=2), get(10, 11, 'a', revision=3))
    bad(put(0, 9, 'a', revision=3), put(0, 9, 'b', revision=2), get(10, 11, 'b', revision=2))
    bad(put(0, 1, 'a', revision=2), get(2, 3, 'a', revision=7), rule='two revisions')


@case('a later request never sees an older store, whatever its key')
def _():
    a = Op('put', 'a', 'x', invoked=0, completed=1, revision=5)
    b = Op('get', 'b', None, invoked=2, completed=3, store=4)
    found = check_revisions([a, b])
    expect([v.rule for v in found] == ['back in time'], found)
    b.invoked = 0
    expect(check_revisions([a, b]) == [], 'they overlap')
    again = Op('put', 'c', 'y', invoked=2, completed=3, revision=5)
    rules = {v.rule for v in check_revisions([a, again])}
    expect(rules == {'one revision, two writes', 'back in time'}, rules)
    ahead = Op('get', 'b', 'z', invoked=2, completed=3, store=5, revision=6)
    expect([v.rule for v in check_revisions([ahead])] == ['read from the future'], 'missed')


def simulate(seed, clients, count, keys):
    """A history of a correct store: each operation takes effect at one instant inside its span."""
    rng = random.Random(seed)
    state, revision, ops, plan = {}, 1, [], []
    free_at = [0] * clients
    for n in range(count):
        client = min(range(clients), key=lambda c: free_at[c])
        begin = free_at[client] + rng.randint(1, 20)
        end = begin + rng.randint(1, 200)
        free_at[client] = end
        key, kind = f'k{rng.randrange(keys)}', rng.choice(['put', 'put', 'get', 'get', 'delete'])
        op = Op(kind, key, f'v{n}' if kind == 'put' else None, invoked=begin, completed=end,
                client=client)
        if kind == 'put' and rng.random() < 0.2:
            op.condition = rng.choice([('absent',), ('exists',), ('match', rng.randint(1, n + 2))])
        at = rng.uniform(begin, end)
        if kind != 'get' and rng.random() < 0.02:
            op.outcome = 'unknown'
            at = begin + rng.expovariate(0.002) if rng.random() < 0.7 else NEVER
        plan.append((at, n, op))
        ops.append(op)
    for at, _, op in sorted(plan, key=lambda p: p[:2]):
        if at == NEVER:
            continue
        now = state.get(op.key, ABSENT)
        done = apply_to_model(op, now, revision + 1)
        if done is not None:
            state[op.key] = done
            revision += 1
        if op.outcome != 'unknown':
            op.store = revision
    return ops


def apply_to_model(op, now, revision):
    """Fills in the result of `op`; returns the key's new state, or None if nothing changed."""
    value, current = now
    known = op.outcome != 'unknown'
    if op.kind == 'get':
        op.value, op.revision = value, current or None
        return None
    condition = op.condition
    holds = (condition is None or (condition[0] == 'absent' and value is None) or
             (condition[0] == 'exists' and value is not None) or
             (condition[0] == 'match' and value is not None and current == condition[1]))
    if not holds:
        if known:
            op.outcome, op.revision = 'refused', current
        return None
    if op.kind == 'delete':
        if known:
            op.deleted = 0 if value is None else 1
            op.revision = None if value is None else revision
        return None if value is None else ABSENT
    if known:
        op.revision = revision
    return op.value, revision


@case('no history of a correct store is reported as bad')
def _():
    for seed in range(300):
        ops = simulate(seed, clients=6, count=120, keys=2)
        found = check(ops)
        expect(not found, lambda: f'seed {seed}:\n{found[0]}')


def explained(ops, state=ABSENT):
    """Tries every order, without any optimization: the reference for the search."""
    if all(op.completed == NEVER for op in ops):
        return True
    first_return = min(op.completed for op in ops)
    for i, op in enumerate(ops):
        if op.invoked > first_return:
            continue
        after = step(state, op)
        if after is not None and explained(ops[:i] + ops[i + 1:], after):
            return True
    return False


def scribble(rng):
    """Six operations with random results, which are possible about half of the time."""
    ops, values = [], ['a', 'b', 'c', 'd']
    for value in values[:rng.randint(2, 4)]:
        begin = rng.randint(0, 12)
        op = put(begin, begin + rng.randint(1, 8), value)
        if rng.random() < 0.4:
            op.completed, op.outcome = NEVER, 'unknown'
        if rng.random() < 0.3:
            op.condition = rng.choice([('absent',), ('exists',)])
            if op.outcome == 'ok' and rng.random() < 0.4:
                op.outcome = 'refused'
        ops.append(op)
    for _ in range(rng.randint(1, 3)):
        begin = rng.randint(0, 16)
        ops.append(get(begin, begin + rng.randint(1, 6), rng.choice([None] + values)))
    if rng.random() < 0.5:
        begin = rng.randint(0, 12)
        ops.append(delete(begin, begin + rng.randint(1, 6), rng.choice([0, 1])))
        if rng.random() < 0.4:
            ops[-1].completed, ops[-1].outcome = NEVER, 'unknown'
    return ops


@case('the search agrees with an exhaustive search of all orders')
def _():
    verdicts = {True: 0, False: 0}
    for seed in range(6000):
        ops = scribble(random.Random(seed))
        expected = explained(ops)
        verdicts[expected] += 1
        found = check_key(ops)
        expect((found is None) == expected,
               lambda: f'seed {seed}: every order says {expected}, the search: {found}\n{ops}')
    expect(min(verdicts.values()) > 1000, f'lopsided: {verdicts}')


@case('a stale read that is inserted into a correct history is found')
def _():
    tried = 0
    for seed in range(200):
        ops = simulate(seed, clients=5, count=100, keys=1)
        rng = random.Random(seed)
        reads = [op for op in ops if op.kind == 'get' and op.outcome == 'ok']
        op = rng.choice(reads)
        # A value that was certainly overwritten by a put answered before this read began.
        over = [w for w in ops if w.kind == 'put' and w.outcome == 'ok' and
                w.completed < op.invoked]
        old = [(a, b) for a in over for b in over if a.completed < b.invoked]
        if not old:
            continue
        op.value, op.revision = old[0][0].value, old[0][0].revision
        tried += 1
        violation = check_key(ops)
        expect(violation is not None, f'seed {seed}: a stale read went through: {op}')
    expect(tried > 100, f'only {tried} histories could be damaged')


@case('an acknowledged write that is removed from the store is found')
def _():
    for seed in range(100):
        rng = random.Random(seed)
        ops, at = [], 0
        for n in range(60):
            ops.append(put(at, at + 1, f'v{n}', revision=n + 2))
            at += 2
        lost = rng.randrange(1, 60)
        ops.insert(lost + 1, get(2 * lost + 1.2, 2 * lost + 1.4, f'v{lost - 1}',
                                 revision=lost + 1))
        bad(*ops)


@case('thousands of operations are checked in seconds')
def _():
    begin = time.monotonic()
    ops = simulate(1, clients=8, count=20000, keys=20)
    found = check(ops)
    expect(not found, lambda: f'reported as bad: {found[0]}')
    took = time.monotonic() - begin
    print(f'       20000 operations on 20 keys, 8 clients: {took:.1f} s')
    expect(took < 60, f'{took:.1f} s')


@case('a step of the register refuses what a register cannot do')
def _():
    expect(step(ABSENT, get(0, 1, 'a')) is None, 'a value that was never written')
    expect(step(('a', 5), delete(0, 1, 0)) is None, 'no deletion although the key exists')
    expect(step(('a', 5), put(0, 1, 'b', revision=5)) is None, 'one revision for two writes')
    expect(step(('a', None), get(0, 1, 'a', revision=5)) == ('a', 5), 'a read reveals the revision')


if __name__ == '__main__':
    sys.exit(run(sys.argv[1:]))
