package scoring

import (
	"context"
	"errors"
	"io"
	"net"

	"tributary/models/score"
)

// Addresses are where to serve; an empty one isn't served.
type Addresses struct{ HTTP, GRPC string }

// Endpoints are what is listened on; nil: not.
type Endpoints struct{ HTTP, GRPC net.Listener }

// Listen opens all addresses, or none.
func (a Addresses) Listen() (e Endpoints, err error) {
	if a.HTTP != "" {
		if e.HTTP, err = Listen("--listen", a.HTTP); err != nil {
			return Endpoints{}, err
		}
	}
	if a.GRPC != "" {
		if e.GRPC, err = Listen("--grpc", a.GRPC); err != nil {
			e.Close()
			return Endpoints{}, err
		}
	}
	return e, nil
}

// Close stops listening.
func (e Endpoints) Close() {
	for _, l := range []net.Listener{e.HTTP, e.GRPC} {
		if l != nil {
			l.Close()
		}
	}
}

// Serve answers on all of them until ctx is done, or until one fails: then the others stop, too.
func (e Endpoints) Serve(ctx context.Context, m *score.Model, document []byte, errorLog io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done, running := make(chan error, 2), 0
	start := func(l net.Listener, serve func(context.Context, net.Listener, *score.Model, []byte, io.Writer) error) {
		if l != nil {
			running++
			go func() { done <- serve(ctx, l, m, document, errorLog) }()
		}
	}
	start(e.HTTP, Serve)
	start(e.GRPC, ServeGRPC)
	var all error
	for ; running > 0; running-- {
		if err := <-done; err != nil {
			all = errors.Join(all, err)
			stop()
		}
	}
	return all
}
