package sitecmd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/sitecmd/sitedata"
)

// askListener is the listener of --ask-listen.
type askListener struct {
	net.Listener                // nil: there is none
	from         []netip.Prefix // who may ask
}

// listenForQuestions listens where web servers ask, if --ask-listen says where. An address that other machines can
// reach needs --ask-from: who can ask learns which keys are good.
func listenForQuestions(o *sitedata.ServeOptions) (askListener, error) {
	none := askListener{}
	from, err := gateway.ParseTrustedProxies(o.AskFrom)
	switch {
	case err != nil:
		return none, fmt.Errorf("--ask-from: %s", cli.Explain(err))
	case o.AskListen == "" && len(from) > 0:
		return none, errors.New("--ask-from: say with --ask-listen where these networks may ask")
	case o.AskListen == "":
		return none, nil
	}
	ln, err := listenOn("--ask-listen", o.AskListen)
	if err != nil {
		return none, err
	}
	tcp, isTCP := ln.Addr().(*net.TCPAddr)
	switch {
	case !isTCP && len(from) > 0:
		err = errors.New("--ask-from: clients of a Unix socket have no address; its folder says who may connect")
	case isTCP && len(from) == 0 && !tcp.IP.IsLoopback():
		err = fmt.Errorf("--ask-listen: other machines reach %s; name the web servers that may ask with --ask-from, "+
			"or listen on 127.0.0.1 or on a Unix socket", o.AskListen)
	}
	if err != nil {
		return none, errors.Join(err, ln.Close())
	}
	return askListener{ln, from}, nil
}

// Close closes the listener, if there is one.
func (a askListener) Close() error {
	if a.Listener == nil {
		return nil
	}
	return a.Listener.Close()
}
