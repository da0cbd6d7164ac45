package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/engine"
	"tributary/coordinator/internal/server"
	"tributary/coordinator/internal/store"
	"tributary/crypto/identity"
	"tributary/protocol/invite"
)

// coordinator is an open data directory.
type coordinator struct {
	dir    string
	config config
	ca     *ca.CA
	store  *store.Store
}

func openCoordinator(ctx context.Context, dir string) (*coordinator, error) {
	c := &coordinator{dir: dir}
	var err error
	if c.config, err = readConfig(dir); err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	if c.ca, err = ca.Load(dir); err != nil {
		return nil, err
	}
	if c.store, err = store.Open(ctx, filepath.Join(dir, "tributary.db")); err != nil {
		return nil, dirError(dir, err)
	}
	return c, nil
}

// start restores the jobs. Only the process that holds the directory's lock may.
func (c *coordinator) start(ctx context.Context, log *zap.Logger) (*engine.Engine, error) {
	key, err := identity.Load(filepath.Join(c.dir, "identity.key"))
	if err != nil {
		return nil, fmt.Errorf("%w\nhint: restore it from a backup; without it the consortium needs a new coordinator", err)
	}
	spool, err := store.NewSpool(filepath.Join(c.dir, "spool"))
	if err != nil {
		return nil, dirError(c.dir, err)
	}
	return engine.New(ctx, engine.Config{Consortium: c.config.Consortium, Organisation: c.config.Organisation, LogOrigin: c.config.LogOrigin,
		Address: c.config.Addresses[0], Key: key, CA: c.ca, Store: c.store, Spool: spool, Log: log, Now: time.Now, Retention: c.config.retention()})
}

func (a *app) initCommand() *cobra.Command {
	var dir string
	var c config
	cmd := &cobra.Command{Use: "init", Short: "Make a coordinator's data directory and the first operator's login token", Args: takes()}
	cmd.Flags().StringVar(&dir, "dir", "", "data directory (required)")
	cmd.Flags().StringVar(&c.Consortium, "consortium", "", "the consortium's name (required)")
	cmd.Flags().StringVar(&c.Organisation, "organisation", "", "the organisation that runs the coordinator (required)")
	cmd.Flags().StringArrayVar(&c.Addresses, "address", []string{"localhost:8443"}, "host:port at which others reach it; the first is in invitations")
	cmd.Flags().StringVar(&c.Listen, "listen", "", "address to listen on (default: the first address's port, on all interfaces)")
	cmd.Flags().IntVar(&c.RetainYears, "retain-years", 0, "how long events, envelopes and old states of ended jobs are kept, 3 or more; 0: for ever; the ledger always is")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, f := range []struct{ name, value string }{{"dir", dir}, {"consortium", c.Consortium}, {"organisation", c.Organisation}} {
			if f.value == "" {
				return usage(cmd, "--%s is missing", f.name)
			}
		}
		return a.init(cmd.Context(), dir, c)
	}
	return cmd
}

// init can be run again after a crash in its middle: the configuration is what makes a directory a coordinator's, and comes last.
func (a *app) init(ctx context.Context, dir string, c config) error {
	if _, err := c.hosts(); err != nil {
		return err
	}
	if c.RetainYears != 0 && c.RetainYears < minRetainYears {
		return invalid("Write 3 or more, or leave it out to keep all for ever.", "--retain-years %d", c.RetainYears)
	}
	for flag, value := range map[string]string{"consortium": c.Consortium, "organisation": c.Organisation} {
		if len(value) > 64 || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return invalid("Use at most 64 bytes of printable text.", "--%s %q", flag, value)
		}
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := readConfig(dir); err == nil {
		return invalid("Start it with `tributary serve --dir "+dir+"`; `tributary user invite NAME --dir "+dir+"` makes a new login token.", "%s is a coordinator's data directory already", dir)
	}
	key, err := identity.LoadOrCreate(filepath.Join(dir, "identity.key"))
	if err != nil {
		return err
	}
	if _, err := ca.Load(dir); err != nil {
		if _, err := ca.Init(dir, c.Consortium, time.Now()); err != nil {
			return err
		}
	}
	public := key.Public()
	c.Version, c.LogOrigin = 1, origin(c.Consortium, public[:])
	if c.Listen == "" {
		host := c.Addresses[0]
		for i := len(host) - 1; i >= 0; i-- {
			if host[i] == ':' {
				c.Listen = host[i:]
				break
			}
		}
	}
	if err := c.write(dir); err != nil {
		return dirError(dir, err)
	}
	return a.inviteLocally(ctx, dir, "admin", engine.DefaultInviteTTL)
}

// inviteLocally makes an operator's token on the coordinator's own machine, with the rights of whoever can write its directory.
func (a *app) inviteLocally(ctx context.Context, dir, name string, ttl time.Duration) error {
	c, err := openCoordinator(ctx, dir)
	if err != nil {
		return err
	}
	defer c.store.Close()
	token, expires, err := engine.Invite(ctx, c.store, c.ca, c.config.Addresses[0], time.Now(), engine.Invitation{Kind: invite.Operator, Name: name, TTL: ttl})
	if err != nil {
		return err
	}
	return a.print(map[string]any{"dir": dir, "name": name, "token": token, "expires": stamp(expires.UnixMilli())}, func(w io.Writer) {
		fmt.Fprintf(w, "Coordinator of %q in %s.\nStart it:     tributary serve --dir %s\nThen log in:  tributary login --token %s\nThe token is for %s, works once, and expires at %s.\n",
			c.config.Consortium, dir, dir, token, name, when(expires.UnixMilli()))
	})
}

func (a *app) serveCommand() *cobra.Command {
	var dir, listen string
	var debug bool
	cmd := &cobra.Command{Use: "serve", Short: "Run the coordinator", Args: takes()}
	cmd.Flags().StringVar(&dir, "dir", "", "data directory (required)")
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on (default: the configuration's)")
	cmd.Flags().BoolVar(&debug, "debug", false, "log every call")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if dir == "" {
			return usage(cmd, "--dir is missing")
		}
		return a.serve(cmd.Context(), dir, listen, debug)
	}
	return cmd
}

func (a *app) serve(ctx context.Context, dir, listen string, debug bool) error {
	config, err := readConfig(dir)
	if err != nil {
		return err
	}
	if listen == "" {
		listen = config.Listen
	}
	hosts, err := config.hosts()
	if err != nil {
		return err
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	listener, err := server.Listen(listen)
	if err != nil {
		return invalid("", "%v", err).(*failure).split()
	}
	defer listener.Close()
	log := a.logger(debug)
	defer log.Sync()
	c, err := openCoordinator(ctx, dir)
	if err != nil {
		return err
	}
	defer c.store.Close()
	e, err := c.start(ctx, log)
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{Engine: e, CA: c.ca, Hosts: hosts, Log: log, Now: time.Now})
	if err != nil {
		return err
	}
	if err := a.print(map[string]any{"listening": listener.Addr().String(), "consortium": config.Consortium}, func(w io.Writer) {
		fmt.Fprintf(w, "Coordinator of %q listens on %s.\n", config.Consortium, listener.Addr())
	}); err != nil {
		return err
	}
	err = s.Serve(ctx, listener)
	log.Info("stopped")
	return err
}

// split moves a hint that is in the message to its place.
func (f *failure) split() error {
	f.Message, f.Hint = splitHint(f.Message)
	return f
}

func (a *app) logger(debug bool) *zap.Logger {
	level := zap.InfoLevel
	if debug {
		level = zap.DebugLevel
	}
	e := zap.NewProductionEncoderConfig()
	e.EncodeTime = zapcore.ISO8601TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(e), zapcore.Lock(zapcore.AddSync(a.Err)), level))
}
