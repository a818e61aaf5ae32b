#include <algorithm>

#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
ClientSession::ClientSession(DataThread& thread, int fd, IpAddress peer, std::uint64_t id, bool counted)
    : thread_(thread), client_(fd), peer_(peer), id_(id), counted_by_client_(counted), peer_text_(peer.to_string()) {}

ClientSession::~ClientSession() = default;

void ClientSession::start() {
  const auto& trusted = thread_.settings().settings.trusted;
  peer_trusted_ = std::any_of(trusted.begin(), trusted.end(), [this](const Cidr& net) { return net.contains(peer_); });
  if (!thread_.loop().add(client_.fd(), *this)) {
    close();
    return;
  }
  registered_ = true;
  if (const auto& tls = thread_.settings().server_tls) {
    client_.begin_tls_server(tls);
    state_ = State::handshake;
    arm(thread_.settings().settings.header_timeout);
    return;
  }
  state_ = State::idle;
  arm(thread_.settings().settings.header_timeout);
}

void ClientSession::on_io(IoEvents events) {
  guarded([this, events] { take_events(events); });
}

void ClientSession::take_events(IoEvents events) {
  client_readable_ = client_readable_ || events.readable;
  client_writable_ = client_writable_ || events.writable;
  client_closed_ = client_closed_ || events.peer_closed;
  const bool between = state_ == State::body || state_ == State::own || state_ == State::queued ||
                       state_ == State::connecting || state_ == State::upstream_handshake || state_ == State::sending ||
                       state_ == State::waiting;
  if (between && client_writable_ && !out_.empty()) {
    flush_client();  // the rest of a "100 Continue"
  }
  switch (state_) {
    case State::handshake: {
      const IoStatus done = client_.handshake();
      if (done == IoStatus::failed) {
        close();
      } else if (done == IoStatus::ok) {
        state_ = State::idle;
        client_readable_ = true;  // what came with the handshake's last bytes raises no event
        read_client();
      }
      return;
    }
    case State::idle:
    case State::head:
    case State::body:
      if (client_readable_) {
        read_client();
      }
      return;
    case State::own: return;
    case State::queued:
    case State::connecting:
    case State::upstream_handshake:
    case State::sending:
    case State::waiting:
      if (client_closed_) {
        client_gone();
      }
      return;
    case State::relaying:
      if (client_closed_) {
        client_gone();
      } else if (client_writable_ && !out_.empty()) {
        flush_client();
      }
      return;
    case State::flushing:
      if (client_writable_ && !out_.empty()) {
        flush_client();
      }
      return;
    case State::tunnel: run_tunnel(); return;
    case State::lingering:
      for (int reads = 0; client_readable_; ++reads) {
        if (reads == kReadsAtOnce) {
          resume_later();
          return;
        }
        const IoResult got = client_.read(thread_.in_bytes.get(), DataThread::kInBytes);
        if (got.status == IoStatus::blocked) {
          client_readable_ = false;
        } else if (got.status != IoStatus::ok) {
          close();
          return;
        }
      }
      return;
    case State::dead: return;
  }
}

void ClientSession::resume_later() {
  if (!resume_posted_) {
    resume_posted_ = true;
    thread_.with_session(id_, [](ClientSession& session) {
      session.resume_posted_ = false;
      session.on_io({});
    });
  }
}

void ClientSession::read_client() {
  int reads = 0;
  while (state_ == State::idle || state_ == State::head || state_ == State::body) {
    if (state_ == State::idle && !in_.empty()) {
      if (!take_input(in_.view())) {
        return;
      }
      continue;
    }
    if (!client_readable_) {
      break;
    }
    if (++reads > kReadsAtOnce) {
      resume_later();
      return;
    }
    if (state_ == State::body) {
      if (!read_body()) {
        return;
      }
      continue;
    }
    const bool scratch = in_.empty();
    if (!scratch) {
      in_.reserve(in_.size() + DataThread::kInBytes);
    }
    char* into = scratch ? thread_.in_bytes.get() : in_.tail();
    const IoResult got = client_.read(into, DataThread::kInBytes);
    if (got.status == IoStatus::blocked) {
      client_readable_ = false;
      break;
    }
    if (got.status != IoStatus::ok) {
      close();  // between requests, or in the middle of a head: nobody waits for an answer
      return;
    }
    if (got.bytes < DataThread::kInBytes && !client_closed_ && !client_.tls()) {
      client_readable_ = false;  // a short read has emptied the socket; the next byte raises an event
    }
    if (!scratch) {
      in_.grow(got.bytes);
    }
    if (!take_input(scratch ? std::string_view(into, got.bytes) : in_.view())) {
      return;
    }
  }
  if (state_ == State::idle) {
    in_.release();
    arm(served_ ? thread_.idle_timeout() : thread_.settings().settings.header_timeout);
  }
}

void ClientSession::stash(std::string_view data) {
  if (data.data() != in_.view().data()) {
    in_.append(data);
  }
}

bool ClientSession::take_input(std::string_view data) {
  RequestHead& head = thread_.request_head;
  const HeadReading reading = read_request_head(data, scanned_, thread_.head_limits, head);
  if (reading.state == HeadState::complete) {
    scanned_ = 0;
    return begin_request(data, reading.bytes);
  }
  if (reading.state == HeadState::incomplete) {
    stash(data);
    scanned_ = data.size();
    if (state_ == State::idle) {
      state_ = State::head;
      arm(thread_.settings().settings.header_timeout);
    }
    return true;
  }
  count_request();
  x().keep_alive = false;
  refuse_status(reading.refusal.status, FailureReason::bad_request, reading.refusal.message, {});
  return false;
}

Exchange& ClientSession::x() {
  if (exchange_ == nullptr) {
    exchange_ = thread_.take_exchange();
  }
  return *exchange_;
}

void ClientSession::drop_exchange() {
  if (exchange_ != nullptr) {
    thread_.give_back(std::move(exchange_));
  }
  set_buffered(0);
}

void ClientSession::count_request() {
  x().began = now();
  thread_.counters().requests.add();
  thread_.counters().requests_active.fetch_add(1, std::memory_order_relaxed);
}

bool ClientSession::begin_request(std::string_view data, std::size_t head_bytes) {
  const RequestHead& head = thread_.request_head;
  count_request();
  x().method.assign(head.method);
  x().path.assign(head.target);
  x().version = head.version;
  x().head_request = head.method == "HEAD";
  x().keep_alive = head.keep_alive && !thread_.draining();
  x().wants_upgrade = head.wants_upgrade;
  if (!head.request_id.empty() && head.request_id.size() <= 128) {
    x().request_id.assign(head.request_id);
  } else {
    thread_.append_request_id(x().request_id);
  }
  if (const Duration total = thread_.settings().settings.proxy_total_timeout; total > Duration::zero()) {
    x().total_deadline = x().began + total;
  }
  in_dispatch_ = true;
  std::size_t taken = data.size();
  if (admit(head)) {
    const std::string_view rest = data.substr(head_bytes);
    if (!head.has_body()) {
      taken = head_bytes;
      dispatch(head, {}, false);
    } else if (!head.chunked && rest.size() >= *head.content_length) {
      x().body_bytes = *head.content_length;
      taken = head_bytes + *head.content_length;
      dispatch(head, rest.substr(0, *head.content_length), false);
    } else {
      taken = head_bytes + begin_body(data.substr(0, head_bytes), rest);
    }
  } else if (!head.has_body()) {
    taken = head_bytes;  // refused, and the connection may go on
  }
  in_dispatch_ = false;
  if (state_ == State::dead || state_ == State::lingering) {
    return false;
  }
  if (data.data() == in_.view().data()) {
    in_.remove_prefix(taken);
  } else if (taken < data.size()) {
    in_.append(data.substr(taken));
  }
  if (in_.empty()) {
    in_.release();
  }
  return true;
}

void ClientSession::next_request() {
  state_ = State::idle;
  served_ = true;
  answer_done_ = false;
  drop_exchange();
  scanned_ = 0;
  if (in_dispatch_) {
    return;  // whoever called us goes on reading
  }
  if (in_.empty() && !client_readable_) {
    if (client_closed_) {
      close();
      return;
    }
    arm(thread_.idle_timeout());
    return;
  }
  read_client();
}

}  // namespace svc::router
