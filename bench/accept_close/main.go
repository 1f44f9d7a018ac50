// accept_close: a server accepts connections and closes them at once, each on a goroutine of its own; a load generator in
// another process keeps 64 of them under way. Time of a connection. Warm-up: a tenth of them.
package main

import (
	"net"
	"strconv"

	"runnel_bench/common"
)

func main() {
	args := common.Parse()
	prefix := common.ShareCPUs(args.Procs)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go c.Close()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	ns := common.RunLoad(prefix, "bench_connect_load", strconv.Itoa(port), "64", strconv.Itoa(args.Scaled(20000)))
	common.Print(common.Metric{Key: "ns_per_connection", Value: ns})
}
