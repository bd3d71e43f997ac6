"""An estimate of the time that a run still takes."""


class TimeEstimate:
    """Seconds to the end from moving averages of what iterations and evaluations took.

    Args:
        weight: of the newest iteration in the exponential average; 0.05 looks back about twenty iterations.
    """

    def __init__(self, weight: float = 0.05) -> None:
        self._weight = weight
        self._sum = 0.0
        self._norm = 0.0
        self._evaluation = 0.0

    def add_iteration(self, seconds: float) -> None:
        """An iteration took so long."""
        self._sum = (1 - self._weight) * self._sum + self._weight * seconds
        self._norm = (1 - self._weight) * self._norm + self._weight

    def add_evaluation(self, seconds: float) -> None:
        """An evaluation took so long; the newest counts."""
        self._evaluation = seconds

    def remaining(self, iterations: int, evaluations: int) -> float:
        """Seconds that so many iterations and evaluations will take."""
        iteration = self._sum / self._norm if self._norm else 0.0
        return iteration * iterations + self._evaluation * evaluations
