// Workers as goroutines, each with a report in hand that waits for an answer over a connection of
// its own, while another goroutine renews its lease, under a deadline. Every 100 ms a line of JSON:
// how long the reports took that ended, the scheduler's worst delay, the most memory above that of
// the start (both since each worker has had a report).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

type told struct {
	Took   []float64 `json:"took_ms"`
	Worst  float64   `json:"worst_lag_ms"`
	Memory int64     `json:"memory"`
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(text)[1]), 10, 64)
	if err != nil {
		panic(err)
	}
	return pages * int64(os.Getpagesize())
}

func keep(ctx context.Context, every time.Duration) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

func report(connection net.Conn, renew, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	go keep(ctx, renew)
	done := make(chan error, 1)
	go func() {
		if _, err := connection.Write([]byte("?")); err != nil {
			done <- err
			return
		}
		answer := make([]byte, 1)
		_, err := connection.Read(answer)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func work(connection net.Conn, renew, deadline time.Duration, took chan<- time.Duration) {
	for {
		began := time.Now()
		if err := report(connection, renew, deadline); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		took <- time.Since(began)
	}
}

func main() {
	port := flag.Int("port", 0, "of the server that answers late")
	workers := flag.Int("workers", 0, "how many")
	renew := flag.Duration("renew", 0, "between two renewals of a lease")
	deadline := flag.Duration("deadline", 0, "of a report")
	flag.Parse()
	before := resident()
	took := make(chan time.Duration, 1<<16)
	go func() {
		for range *workers {
			connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			go work(connection, *renew, *deadline, took)
		}
	}()
	var worst atomic.Int64
	var begun atomic.Bool
	go func() {
		const look = 50 * time.Millisecond
		for {
			due := time.Now().Add(look)
			time.Sleep(look)
			if late := time.Since(due).Nanoseconds(); begun.Load() && late > worst.Load() {
				worst.Store(late)
			}
		}
	}()
	lines := json.NewEncoder(os.Stdout)
	ticks := time.NewTicker(100 * time.Millisecond)
	line, total := told{Took: []float64{}}, 0
	for {
		select {
		case one := <-took:
			line.Took = append(line.Took, float64(one.Nanoseconds())/1e6)
			total++
			begun.Store(total >= *workers)
		case <-ticks.C:
			line.Worst = float64(worst.Load()) / 1e6
			if used := resident() - before; begun.Load() && used > line.Memory {
				line.Memory = used
			}
			if err := lines.Encode(line); err != nil {
				panic(err)
			}
			line.Took = line.Took[:0]
		}
	}
}
