package common

import (
	"math"
	"time"
)

// FastestOfEach is the twin of fastest_of_each: nanoseconds of a call of each of works in the
// fastest of many short runs, which take turns.
func FastestOfEach(rounds, times int, works ...func(times int)) []float64 {
	least := make([]float64, len(works))
	for i := range least {
		least[i] = math.Inf(1)
	}
	for round := 0; round < rounds; round++ {
		for i, work := range works {
			start := time.Now()
			work(times)
			if ns := NanosecondsEach(start, times); ns < least[i] {
				least[i] = ns
			}
		}
	}
	return least
}
