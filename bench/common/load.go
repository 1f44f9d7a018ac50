package common

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// ShareCPUs gives the server the first CPU for itself and the load generator another, if there is one P; with more, both
// have all. It returns how a command is to be begun.
func ShareCPUs(procs int) []string {
	if procs != 1 {
		return nil
	}
	var all [16]uint64
	affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &all)
	cpus := []int{}
	for i := 0; i < len(all)*64; i++ {
		if all[i/64]&(1<<(i%64)) != 0 {
			cpus = append(cpus, i)
		}
	}
	if len(cpus) < 2 {
		return nil
	}
	var own [16]uint64
	own[cpus[0]/64] = 1 << (cpus[0] % 64)
	// Threads that run already keep theirs: all are told.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		panic(err)
	}
	runtime.LockOSThread()
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		affinity(syscall.SYS_SCHED_SETAFFINITY, tid, &own)
	}
	runtime.UnlockOSThread()
	return []string{"taskset", "-c", strconv.Itoa(cpus[1])}
}

func affinity(call uintptr, tid int, set *[16]uint64) {
	syscall.Syscall(call, uintptr(tid), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
}

// LoadOutput runs a load generator, which lies beside this program, and returns the line it prints.
func LoadOutput(prefix []string, name string, arguments ...string) string {
	own, err := os.Executable()
	if err != nil {
		panic(err)
	}
	command := append(prefix, filepath.Join(filepath.Dir(own), name))
	command = append(command, arguments...)
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		panic(fmt.Sprint(name, ": ", err))
	}
	return strings.TrimSpace(string(out))
}

// RunLoad is LoadOutput of one that prints a number.
func RunLoad(prefix []string, name string, arguments ...string) float64 {
	number, err := strconv.ParseFloat(LoadOutput(prefix, name, arguments...), 64)
	if err != nil {
		panic(err)
	}
	return number
}
