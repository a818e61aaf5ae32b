#include "common/io/signals.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>

namespace svc {

struct Signals::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, SignalHandlers given)
      : set(io, SIGTERM, SIGINT, SIGHUP), handlers(std::move(given)) {}

  void wait() {
    set.async_wait([self = shared_from_this()](const boost::system::error_code& error, int signal) {
      if (error || self->closed) return;
      // Wait again first: the handler may close the set, or raise.
      self->wait();
      self->dispatch(signal);
    });
  }

  void dispatch(int signal) {
    if (signal == SIGHUP) {
      handlers.on_reload();
    } else if (!stopping) {
      stopping = true;
      handlers.on_stop();
    } else {
      handlers.on_stop_now();
    }
  }

  boost::asio::signal_set set;
  SignalHandlers handlers;
  bool stopping = false;
  bool closed = false;
};

Signals::Signals(boost::asio::io_context& io, SignalHandlers handlers)
    : state_(std::make_shared<State>(io, std::move(handlers))) {
  ignore_sigpipe();
  state_->wait();
}

Signals::~Signals() {
  close();
  // What is left to do is leaving: an impatient signal must not turn the exit code into its own. Blocked meanwhile, since
  // clear() brings the default action back for a moment.
  sigset_t impatient;
  sigset_t before;
  sigemptyset(&impatient);
  sigaddset(&impatient, SIGTERM);
  sigaddset(&impatient, SIGINT);
  pthread_sigmask(SIG_BLOCK, &impatient, &before);
  state_->set.clear();
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGINT, SIG_IGN);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Signals::close() {
  state_->closed = true;
  boost::system::error_code ignored;
  state_->set.cancel(ignored);
}

void ignore_sigpipe() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace svc
