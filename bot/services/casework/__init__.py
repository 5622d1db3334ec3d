"""Cases (工单) and what hangs on them: clocks, repairs, visits."""
