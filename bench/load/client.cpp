#include "bench/load/client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace svc::load {
namespace {

// After a failure, so that a proxy that refuses everything is not asked in a tight loop.
constexpr Duration kRest = std::chrono::milliseconds(20);

}  // namespace

Client::Client(Shared& shared, std::size_t number) : shared_(shared), number_(number), stream_(shared.tally) {}

Client::~Client() { close(); }

void Client::begin(TimePoint due, const std::string& request, std::size_t tokens) {
  ++shared_.tally.begun;
  exchange_ = Exchange{due, {}, {}, false, 0};
  request_ = &request;
  tokens_ = tokens;
  written_ = 0;
  reader_.reset();
  stream_.reset();
  shared_.loop.timers().set(timer_, shared_.loop.now() + shared_.options.timeout);
  if (fd_ < 0) {
    if (!connect()) {
      fail(Failure::connect);
    }
    return;
  }
  state_ = State::waiting;
  write();
}

bool Client::connect() {
  const auto& options = shared_.options;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.ports[number_ % options.ports.size()]);
  ::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr);
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    return false;
  }
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  state_ = State::connecting;
  ++shared_.tally.connections;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): that is how the call is made
  const int result = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return (result == 0 || errno == EINPROGRESS) && shared_.loop.add(fd_, *this);
}

void Client::on_io(IoEvents events) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      fail(Failure::connect);
      return;
    }
    if (!events.writable) {
      return;
    }
    state_ = State::waiting;
    write();
  } else if (events.writable && state_ == State::waiting && written_ < request_->size()) {
    write();
  }
  if (fd_ >= 0 && (events.readable || events.peer_closed)) {
    read(events.peer_closed);
  }
}

void Client::write() {
  if (written_ == 0 && request_ == &shared_.request()) {
    shared_.number_next_request();
  }
  while (written_ < request_->size()) {
    const auto sent = ::send(fd_, request_->data() + written_, request_->size() - written_, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) {
        // An answer that came before may say why.
        read(true);
        if (fd_ >= 0 && state_ == State::waiting) {
          fail(Failure::reset);
        }
      }
      return;
    }
    written_ += static_cast<std::size_t>(sent);
  }
}

void Client::read(bool peer_closed) {
  auto& buffer = shared_.buffer;
  while (fd_ >= 0) {
    const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) {
        on_end(got < 0);
      }
      return;
    }
    const auto bytes = static_cast<std::size_t>(got);
    if (!take({buffer.data(), bytes}, steady_now()) || (bytes < buffer.size() && !peer_closed)) {
      return;  // a short read empties the socket, so that the next byte is a new event
    }
  }
}

bool Client::take(std::string_view bytes, TimePoint now) {
  if (state_ != State::waiting) {
    close();  // nobody asked for these bytes
    return false;
  }
  shared_.tally.bytes += bytes.size();
  shared_.tally.reads += shared_.tally.measuring ? 1 : 0;
  read_at_ = now;
  const std::size_t before = stream_.tokens();
  const std::size_t taken = reader_.feed(bytes, *this);
  if (reader_.state() == ResponseReader::State::broken || taken < bytes.size()) {
    fail(Failure::malformed);
    return false;
  }
  if (before == 0 && stream_.tokens() > 0) {
    exchange_.first_token = now;
    if (shared_.tally.measuring) {
      shared_.tally.first_byte.add(now - exchange_.due);
    }
  }
  if (shared_.options.mode == Mode::cancel && stream_.tokens() >= shared_.options.cancel_after) {
    leave(now);
    return false;
  }
  if (reader_.state() == ResponseReader::State::done) {
    finish(now);
  } else {
    shared_.loop.timers().set(timer_, now + shared_.options.timeout);
  }
  return fd_ >= 0;
}

void Client::on_end(bool reset) {
  if (state_ != State::waiting) {
    close();
  } else if (!reset && reader_.end()) {
    finish(steady_now());
  } else if (reset) {
    fail(Failure::reset);
  } else {
    fail(reader_.untouched() ? Failure::closed : Failure::truncated);
  }
}

void Client::finish(TimePoint now) {
  auto& tally = shared_.tally;
  if (reader_.status() != 200) {
    ++tally.statuses[reader_.status()];
    fail(Failure::status);
    return;
  }
  if (shared_.options.streaming()) {
    stream_.finish(tokens_);
    if (stream_.error_event() || !stream_.done()) {
      fail(stream_.error_event() ? Failure::error_event : Failure::no_done);
      return;
    }
  }
  exchange_.ended = now;
  exchange_.good = true;
  exchange_.cached_tokens = stream_.cached_tokens();
  ++tally.finished;
  if (tally.measuring) {
    ++tally.measured_requests;
    tally.latency.add(now - exchange_.due);
  }
  if (!reader_.keep_alive() || written_ < request_->size()) {
    close();
  }
  state_ = State::idle;
  shared_.loop.timers().clear(timer_);
  shared_.on_idle(*this);
}

void Client::leave(TimePoint now) {
  auto& tally = shared_.tally;
  ++tally.cancelled;
  if (tally.measuring) {
    ++tally.measured_requests;
    tally.latency.add(now - exchange_.due);
  }
  drop();
  shared_.on_idle(*this);
}

void Client::fail(Failure failure) {
  shared_.tally.add_failure(failure);
  close();
  state_ = State::resting;
  shared_.loop.timers().set(timer_, shared_.loop.now() + kRest);
}

void Client::on_silence(TimePoint) {
  if (state_ == State::resting) {
    state_ = State::idle;
    shared_.on_idle(*this);
  } else if (state_ != State::idle) {
    fail(Failure::timeout);
  }
}

void Client::drop() {
  close();
  state_ = State::idle;
  shared_.loop.timers().clear(timer_);
}

void Client::close() {
  if (fd_ >= 0) {
    shared_.loop.remove(fd_, *this);
    ::close(fd_);
    fd_ = -1;
  }
}

void Client::on_chunk() { stream_.on_chunk(); }

void Client::on_body(std::string_view piece) {
  if (shared_.options.streaming()) {
    stream_.on_body(piece, read_at_);
  }
}

}  // namespace svc::load
