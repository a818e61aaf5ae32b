#include "bench/sim/connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bench/sim/server.hpp"

namespace svc::sim {
namespace {
constexpr std::size_t kMostPipelined = 1U << 20U;
constexpr std::size_t kLargeBuffer = 2U << 20U;
constexpr std::chrono::seconds kLinger{2};
}  // namespace

Connection::Connection(Server& server, int fd, std::uint64_t number, bool control)
    : server_(server),
      fd_(fd),
      number_(number),
      control_(control),
      parser_({.head_bytes = 64U << 10U, .body_bytes = server.options.max_body_bytes}) {
  job_.owner = this;
}

Connection::~Connection() = default;

void Connection::start() {
  if (!server_.loop.add(fd_, *this)) close(false);
}

void Connection::close(bool rst) {
  if (fd_ < 0) return;
  server_.engine.cancel(job_);
  if (hold_) server_.delays.cancel(*hold_);
  hold_.reset();
  server_.loop.timers().clear(timer_);
  if (rst) {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  server_.loop.remove(fd_, *this);
  ::close(fd_);
  fd_ = -1;
  server_.remove(*this);
}

void Connection::on_io(IoEvents events) {
  if (events.writable && !out_.empty() && !held_) {
    if (!flush()) return close(false);
    if (out_.empty()) {
      server_.engine.unblock(job_);
      if (input_ended_) return close(false);
    }
  }
  if (events.readable) read(events.peer_closed);
}

void Connection::read(bool to_the_end) {
  std::vector<char>& buffer = server_.input;
  while (fd_ >= 0) {
    if (state_ != State::reading && in_.size() > kMostPipelined) {
      input_full_ = true;
      if (to_the_end) on_end_of_input();
      return;
    }
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return on_end_of_input();
    if (got < 0) return;
    const auto bytes = static_cast<std::size_t>(got);
    if (state_ == State::closing || state_ == State::stalled) {
      // Read and dropped.
    } else if (in_.empty()) {
      const std::string_view data(buffer.data(), bytes);
      const std::size_t used = consume(data);
      if (fd_ < 0) return;
      in_.reserve(std::max(parser_.expected(), bytes - used));
      in_.assign(data.substr(used));
    } else {
      in_.append(buffer.data(), bytes);
      in_.erase(0, consume(in_));
    }
    if (bytes < buffer.size() && !to_the_end) return;
  }
}

/// Runs the requests that are there whole; returns how many bytes they had.
std::size_t Connection::consume(std::string_view data) {
  std::size_t used = 0;
  while (state_ == State::reading && !broken_ && used < data.size()) {
    const auto step = parser_.parse(data.substr(used));
    if (step == RequestParser::Step::more) break;
    if (step == RequestParser::Step::head) {
      on_head();
      continue;
    }
    if (step == RequestParser::Step::bad) {
      ++server_.stats.bad_requests;
      keep_alive_ = false;
      answer(parser_.refusal().status, "{\"detail\":\"" + std::string(parser_.refusal().why) + "\"}");
      return data.size();
    }
    const std::size_t size = parser_.consumed();
    if (answered_early_) {
      answered_early_ = false;
    } else {
      on_request();
    }
    used += size;
    parser_.reset();
  }
  return used;
}

void Connection::on_end_of_input() {
  input_ended_ = true;
  const bool answered = state_ == State::reading || state_ == State::closing;
  if (answered && !out_.empty() && !broken_) return;  // on_io() closes when it has left
  close(false);
}

void Connection::on_revisit() {
  if (broken_) return close(broken_rst_);
  if (state_ != State::reading) return;
  if (!in_.empty()) {
    in_.erase(0, consume(in_));
    if (in_.empty() && in_.capacity() > kLargeBuffer) in_.shrink_to_fit();
  }
  if (broken_) return close(broken_rst_);
  if (server_.draining() && state_ == State::reading && out_.empty()) return close(false);
  if (input_full_ && state_ == State::reading) {
    input_full_ = false;
    read(true);
  }
}

void Connection::drain() {
  keep_alive_ = false;
  if (state_ == State::stalled) return;
  const bool idle = state_ == State::reading && in_.empty() && out_.empty();
  if (idle || control_) close(false);
}

void Connection::write(std::string_view bytes) {
  if (fd_ < 0 || broken_) return;
  if (out_.empty() && !held_) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(bytes.size())) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return break_off(false);
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  out_.append(bytes);
}

/// False: the connection is dead.
bool Connection::flush() {
  while (out_at_ < out_.size()) {
    const ssize_t sent = ::send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    out_at_ += static_cast<std::size_t>(sent);
  }
  out_.clear();
  out_at_ = 0;
  if (out_.capacity() > kLargeBuffer) out_.shrink_to_fit();
  if (state_ == State::closing) ::shutdown(fd_, SHUT_WR);
  if (state_ == State::reading && server_.draining()) server_.revisit(*this);
  return true;
}

/// Not at once: the engine or the parser may be at work on this connection.
void Connection::break_off(bool rst) {
  broken_ = true;
  broken_rst_ = rst;
  server_.revisit(*this);
}

Framing Connection::framing() const { return {.keep_alive = keep_alive_, .http10 = http10_, .no_body = no_body_}; }

void Connection::answer(int status, std::string_view body, std::string_view extra) {
  std::string out;
  server_.answers.plain(out, status, "application/json", body, framing(), extra);
  write(out);
  finish_answer();
}

void Connection::answer_text(int status, std::string_view body) {
  std::string out;
  server_.answers.plain(out, status, "text/plain; charset=utf-8", body, framing());
  write(out);
  finish_answer();
}

/// The answer is written: the next request, or the end.
void Connection::finish_answer() {
  dying_.reset();
  if (keep_alive_) {
    state_ = State::reading;
    const double seconds = server_.options.keepalive;
    if (seconds > 0) {
      server_.loop.timers().set(timer_, server_.loop.now() + Duration(static_cast<Duration::rep>(seconds * 1e9)));
    } else {
      server_.loop.timers().clear(timer_);  // it was the request's
    }
    if (!in_.empty() || input_full_ || server_.draining()) server_.revisit(*this);
    return;
  }
  state_ = State::closing;
  server_.loop.timers().set(timer_, server_.loop.now() + kLinger);
  if (out_.empty()) ::shutdown(fd_, SHUT_WR);
}

void Connection::on_timer(TimePoint) {
  if (state_ == State::closing) {
    if (out_.empty()) return close(false);
    server_.loop.timers().set(timer_, server_.loop.now() + kLinger);
    return;
  }
  if (state_ == State::reading && in_.empty() && out_.empty()) return close(false);
  if (state_ != State::generating) return;
  server_.engine.cancel(job_);
  generation_.generated = job_.generated;
  generation_.finish_reason = "timeout";
  std::string out;
  if (job_.stream) {
    server_.answers.end_stream(out, generation_, framing(), "[Request timeout]");
  } else {
    server_.answers.json(out, 200, server_.answers.completion(generation_), framing());
  }
  write(out);
  finish_answer();
}

void Connection::on_tokens(Job& job, std::uint32_t count, TimePoint now) {
  if (!job.stream) return;
  const std::uint32_t first = job.generated - count;
  server_.stats.chunks += count;
  if (cancel_after_ > 0 && job.generated > cancel_after_) {
    server_.stats.chunks_after_gone += std::min(count, job.generated - cancel_after_);
  }
  if (broken_) return;
  std::uint32_t last = job.generated;
  const bool dies = dying_ && dying_->kind == FaultKind::die_mid_stream && last >= dying_->after;
  if (dies) last = std::max(first, dying_->after);
  std::string& out = server_.scratch;
  out.clear();
  if (first == 0 && !server_.options.role_at_once) server_.answers.open_message(out, generation_, framing());
  for (std::uint32_t n = first; n < last; ++n) server_.answers.event(out, generation_, n, now, framing());
  write(out);
  if (broken_ && cancel_after_ == 0) server_.stats.chunks_after_gone += count;
  if (dies) break_off(dying_->rst);
}

void Connection::on_finished(Job& job) {
  if (broken_) return;
  generation_.generated = job.generated;
  generation_.cached_tokens = job.cached_tokens;
  std::string& out = server_.scratch;
  out.clear();
  if (job.stream) {
    server_.answers.end_stream(out, generation_, framing());
    write(out);
    return finish_answer();
  }
  const std::string body = server_.answers.completion(generation_);
  server_.answers.json(out, 200, body, framing());
  if (dying_) {
    const bool no_body = dying_->kind == FaultKind::reset_after_head;
    out.resize(out.size() - (no_body ? body.size() : body.size() - body.size() / 2));
    write(out);
    return break_off(no_body || dying_->rst);
  }
  write(out);
  finish_answer();
}

}  // namespace svc::sim
