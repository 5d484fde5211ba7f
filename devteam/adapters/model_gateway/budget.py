"""What an attempt may still spend: reserved before each call, settled after it."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass
class Budget:
    """Money of one attempt in US dollars. Without a limit it only counts.

    A call is let through only if its worst case still fits beside what was spent and what other calls have
    reserved; so the limit can be overshot at most by what one call's estimate was too low.
    """

    limit: float | None
    spent: float = 0.0
    reserved: dict[UUID, float] = field(default_factory=dict)

    def reserve(self, call: UUID, worst: float) -> bool:
        """Set the worst case of a call aside; False when it does not fit any more."""
        others = sum(amount for other, amount in self.reserved.items() if other != call)
        if self.limit is not None and self.spent + others + worst > self.limit:
            return False
        self.reserved[call] = worst
        return True

    def settle(self, call: UUID, cost: float) -> None:
        """The call is over and cost this much."""
        self.release(call)
        self.spent += cost

    def release(self, call: UUID) -> None:
        """Nothing is set aside for the call any more; settled or not."""
        self.reserved.pop(call, None)

    @property
    def overshoot(self) -> float:
        """How much more than the limit was spent."""
        return 0.0 if self.limit is None else max(0.0, self.spent - self.limit)
