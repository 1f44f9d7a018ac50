// Package common is what the Go contestants share: the twins of the headers beside it.
package common

import (
	"flag"
	"runtime"
)

// Arguments is what every contestant is told.
type Arguments struct {
	Procs int
	Scale float64
}

// Scaled returns usual times the scale, but at least one.
func (a Arguments) Scaled(usual int) int {
	if n := int(float64(usual) * a.Scale); n > 0 {
		return n
	}
	return 1
}

// Parse reads the command line and sets GOMAXPROCS from it.
func Parse() Arguments {
	var a Arguments
	flag.IntVar(&a.Procs, "procs", 1, "worker threads")
	flag.Float64Var(&a.Scale, "scale", 1, "which part of the usual work to do")
	flag.Parse()
	runtime.GOMAXPROCS(a.Procs)
	return a
}
