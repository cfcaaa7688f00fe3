// Package ssh reaches hosts: it finds out how ([Config.Resolve]), connects through any number of jump hosts and logs in
// ([Dial]), runs commands ([Client.Start]), puts files ([Client.Upload]), and records host keys ([Scan], [Remember]).
//
// Host keys are always checked, and every algorithm is listed in this package. Every phase of every hop ends within a
// time limit or with its context, and says in an [Error] which phase of which host failed and what to do.
//
// # Round trips
//
// The time to reach a far host is counted in round trips, so each is here with its reason. OpenSSH's client takes the
// same seven to log in.
//
//	1  TCP connection
//	2  version lines, which both sides send at once, and the lists of algorithms behind them
//	3  key exchange: our share, and the host's with its signature
//	4  request for the authentication service
//	5  the "none" method, which tells what the host accepts
//	6  offer of a key: one for each key that the host does not accept, so the named key comes first
//	7  signature
//
// A command takes two more, the channel and the command itself: the request to run it is sent without waiting for a
// reply, and its input may follow at once. [Client.Upload] says what a file takes. Each jump adds its own seven and one
// for the channel. BenchmarkDial and its neighbours measure all this through a proxy that delays, against OpenSSH's
// server and beside OpenSSH's client.
package ssh
