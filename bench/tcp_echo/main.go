// tcp_echo: a server sends back what it gets, a goroutine per connection; a load generator in another process exchanges
// messages of 64 bytes over 100 connections. Time of a message. Warm-up: a tenth of the messages.
package main

import (
	"net"
	"strconv"

	"runnel_bench/common"
)

func serve(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

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
			go serve(c)
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	ns := common.RunLoad(prefix, "bench_echo_load", strconv.Itoa(port), "100", strconv.Itoa(args.Scaled(200000)))
	common.Print(common.Metric{Key: "ns_per_message", Value: ns})
}
