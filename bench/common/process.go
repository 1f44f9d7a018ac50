package common

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// MemoryBytes is the resident memory plus the page tables that map it.
func MemoryBytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	kib := 0
	for _, line := range strings.Split(string(status), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 3 && (fields[0] == "VmRSS:" || fields[0] == "VmPTE:") {
			value, err := strconv.Atoi(fields[1])
			if err != nil {
				panic(err)
			}
			kib += value
		}
	}
	return float64(kib) * 1024
}

// CPUMilliseconds is the user and system time of all threads.
func CPUMilliseconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	milliseconds := func(t syscall.Timeval) float64 {
		return float64(t.Sec)*1e3 + float64(t.Usec)*1e-3
	}
	return milliseconds(used.Utime) + milliseconds(used.Stime)
}
