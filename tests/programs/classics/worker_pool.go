// A worker pool: a fixed number of goroutines take jobs from one channel and send what came of
// them, a value or an error, to another, which is closed when the last of them has no more to do.
package main

import (
	"errors"
	"fmt"
	"sync"
)

type job struct {
	id, from, to int
}

type result struct {
	id, start, steps int
	err              error
}

// longest finds the number in [from, to) that takes most steps to get to 1 by Collatz's rule.
func longest(j job) (start, steps int, err error) {
	if j.from < 1 {
		return 0, 0, errors.New("numbers begin with 1")
	}
	if j.from >= j.to {
		return 0, 0, errors.New("an empty range")
	}
	for i := j.from; i < j.to; i++ {
		n := 0
		for x := i; x != 1; n++ {
			if x%2 == 0 {
				x /= 2
			} else {
				x = 3*x + 1
			}
		}
		if n > steps {
			start, steps = i, n
		}
	}
	return start, steps, nil
}

func worker(jobs <-chan job, results chan<- result) {
	for j := range jobs {
		start, steps, err := longest(j)
		results <- result{j.id, start, steps, err}
	}
}

func main() {
	const workers = 4
	const width = 5000
	ranges := make([]job, 24)
	for i := range ranges {
		ranges[i] = job{i, i * width, (i + 1) * width} // the first one begins with 0
	}
	ranges[20].to = ranges[20].from

	jobs := make(chan job)
	results := make(chan result)
	go func() {
		for _, j := range ranges {
			jobs <- j
		}
		close(jobs)
	}()
	var pool sync.WaitGroup
	for i := 0; i < workers; i++ {
		pool.Add(1)
		go func() {
			defer pool.Done()
			worker(jobs, results)
		}()
	}
	go func() {
		pool.Wait()
		close(results)
	}()

	inOrder := make([]result, len(ranges))
	for r := range results {
		inOrder[r.id] = r
	}
	for _, r := range inOrder {
		if r.err != nil {
			fmt.Printf("job %2d failed: %v\n", r.id, r.err)
		} else {
			fmt.Printf("job %2d: %6d takes %d steps\n", r.id, r.start, r.steps)
		}
	}
}
