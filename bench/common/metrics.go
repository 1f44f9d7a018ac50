package common

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Metric is one `key=value` of the line a contestant prints.
type Metric struct {
	Key   string
	Value float64
}

// Print prints a contestant's whole output.
func Print(metrics ...Metric) {
	var fields []string
	for _, m := range metrics {
		fields = append(fields, fmt.Sprintf("%s=%.6g", m.Key, m.Value))
	}
	fmt.Println(strings.Join(fields, " "))
}

// Require ends the program unless the result was right.
func Require(right bool, what string) {
	if !right {
		fmt.Fprintln(os.Stderr, "wrong result:", what)
		os.Exit(1)
	}
}

// NanosecondsEach is the time since start for each of n operations.
func NanosecondsEach(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}
