"""Membership changes (paper 6; thesis 4), learners (thesis 4.2.1) and leadership transfer (thesis 3.10)."""

from __future__ import annotations

from reference_impls.protocols.raft.log import Configuration, Entry
from reference_impls.protocols.raft.messages import AdminRequest, AdminResponse, TimeoutNow
from reference_impls.protocols.raft.server import ELECTION_TIMEOUT, LEADER, Server
from reference_impls.runtime.effects import SetTimer


class Membership(Server):
    """Who votes, and who is to lead."""

    def _begin_to_lead(self) -> None:
        super()._begin_to_lead()
        self.goal, self.transfer, self.handed_over = None, "", False

    # Which configuration is in use

    def _use_configuration(self) -> None:
        """The log or the commit index has changed, and with them perhaps the configuration in use."""
        self.used, configuration = self._effective()
        if configuration is self.configuration:
            return
        self.configuration = configuration
        self.others = [member for member in configuration.members if member != self.name]
        if self.role == LEADER:
            for other in self.others:
                self.next.setdefault(other, self.log.last_index + 1)
                self.match.setdefault(other, 0)

    def _effective(self) -> tuple[int, Configuration]:
        """6: a server always uses the latest configuration in its log, regardless of whether it is committed. Or, with
        `effective` apply, the latest one that it has known to be committed."""
        if self.effective == "append":
            return self.configurations[-1]
        known = max(self.commit, self.used)
        return next(pair for pair in reversed(self.configurations) if pair[0] <= known)

    # Changes

    def _on_admin_request(self, sender: str, message: AdminRequest) -> None:
        """The leader takes on what is wanted; what was wanted before and is not begun is dropped."""
        self._record()
        if self.role != LEADER or self.transfer:
            self._reply(sender, AdminResponse(message.number, "redirect", "" if self.transfer else self.leader))
            return
        if message.voters:
            self.goal = (message.voters, message.learners)
        elif message.leader in self.configuration.voters and message.leader != self.name:
            self.transfer, self.handed_over = message.leader, False
            # Thesis 3.10: if the transfer does not complete within about an election timeout, it is abandoned
            self._effects.append(SetTimer("transfer", ELECTION_TIMEOUT[0]))
        self._reply(sender, AdminResponse(message.number, "ok"))
        self._go_on_with_change()

    def _go_on_with_change(self) -> None:
        """The next step, where one is due and the one before it is committed."""
        if self.role != LEADER:
            return
        if self.transfer:
            self._hand_over()
        elif (self.goal or self.configuration.outgoing) and self._may_change():
            configuration = self._next_configuration()
            if configuration is not None:
                self._append(Entry(self.term, configuration))
                self._record("raft.change_configuration")
                self._replicate()
                self._advance_commit()
        self._step_down_if_removed()

    def _may_change(self) -> bool:
        """One configuration at a time: the latest one in the log is committed. And so is an entry of this leader's own
        term, without which single-server changes are unsafe (Ongaro 2015)."""
        return self.configurations[-1][0] <= self.commit and self._own_term_committed()

    def _own_term_committed(self) -> bool:
        """Whether this leader has committed an entry of its term."""
        return self.commit >= self.no_op

    def _next_configuration(self) -> Configuration | None:
        """What follows the configuration in use; None: nothing, or not yet."""
        now = self.configuration
        if now.outgoing:  # 6: once the joint configuration is committed, the new one is
            return Configuration(now.voters, (), now.learners)
        assert self.goal is not None, "only asked for where something is to be done"
        voters, learners = self.goal
        joining = [server for server in voters if server not in now.voters]
        strange = [server for server in joining if server not in now.members]
        if strange:  # thesis 4.2.1: new servers join as learners first, until they have caught up
            return now._replace(learners=tuple(sorted((*now.learners, *strange))))
        if any(self.match.get(server, 0) < self.commit for server in joining):
            return None
        if (voters, learners) == (now.voters, now.learners):
            self.goal = None
            return None
        if voters == now.voters:
            return Configuration(voters, (), learners)
        return self._one_server_on(now) if self.single else Configuration(voters, now.voters, learners)

    def _one_server_on(self, now: Configuration) -> Configuration:
        """Thesis 4.1: majorities of configurations that differ by one server overlap. The leader goes last."""
        assert self.goal is not None, "only asked for on the way to it"
        voters, learners = self.goal
        joining = [server for server in voters if server not in now.voters]
        leaving = sorted((s for s in now.voters if s not in voters), key=lambda s: s == self.name)
        step = {*now.voters, joining[0]} if joining else {*now.voters} - {leaving[0]}
        rest = {*now.learners, *learners} - step
        return Configuration(tuple(sorted(step)), (), tuple(sorted(rest)))

    def _step_down_if_removed(self) -> None:
        """6: a leader that is not in the new configuration leads until that is committed, and then steps down."""
        now = self.configuration
        if not now.outgoing and self.name not in now.voters and self.used <= self.commit:
            self._become_follower(self.term)
            self._record("raft.become_follower")

    # Leadership transfer

    def _hand_over(self) -> None:
        """Thesis 3.10: once the target's log is as long as the leader's, the target is asked to start an election. It
        may win before leases run out: there are none from here on (thesis 6.4.1)."""
        target = self.transfer
        if self.handed_over:
            return
        if self.match.get(target, 0) == self.log.last_index:
            self.handed_over = self.lease_void = True
            self._send(target, TimeoutNow(self.term))
        elif target not in self.waiting:
            self._append_entries(target)
