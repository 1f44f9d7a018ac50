// tls_handshake: a server shakes hands by TLS 1.3, with an RSA key of 2048 bits, and closes the connection, each on a goroutine
// of its own; a load generator in another process keeps 16 under way. Time of a handshake. Warm-up: a tenth of them.
package main

import (
	"crypto/tls"
	"net"
	"strconv"

	"runnel_bench/common"
)

func main() {
	args := common.Parse()
	prefix := common.ShareCPUs(args.Procs)
	config := &tls.Config{Certificates: []tls.Certificate{common.Certificate()}}
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
			go func() {
				secure := tls.Server(c, config)
				if err := secure.Handshake(); err != nil {
					panic(err)
				}
				secure.Close()
			}()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	ns := common.RunLoad(prefix, "bench_tls_load", strconv.Itoa(port), "16", strconv.Itoa(args.Scaled(1500)))
	common.Print(common.Metric{Key: "ns_per_handshake", Value: ns})
}
