#include "router/io/upstream_connection.hpp"

namespace svc::router {

void UpstreamConnection::on_io(IoEvents events) {
  readable = readable || events.readable;
  writable = writable || events.writable;
  peer_closed = peer_closed || events.peer_closed;
  if (user_ != nullptr) {
    user_->on_upstream_io(events);
  } else if (events.readable || events.peer_closed) {
    // An idle connection has nothing to say but its end; bytes out of turn would be taken for the next answer.
    pool_.drop(*this);
  }
}

UpstreamPool::~UpstreamPool() {
  trim(TimePoint::max());
  while (!used_.empty()) {
    drop(*used_.front());
  }
}

UpstreamConnection* UpstreamPool::reuse(UpstreamUser& user) {
  // What an idle connection has to say is its end, or bytes that nobody asked for: they must not become an answer.
  while (!idle_.empty() &&
         (loop_.input_pending(*idle_.back()) || (loop_.round_was_full() && idle_.back()->transport.has_input()))) {
    drop(*idle_.back());
  }
  if (idle_.empty()) {
    return nullptr;
  }
  UpstreamConnection& connection = *idle_.back();
  used_.splice(used_.end(), idle_, connection.place_);
  connection.user_ = &user;
  connection.reused = true;
  return &connection;
}

UpstreamConnection& UpstreamPool::create(UpstreamUser& user) {
  used_.push_back(std::make_unique<UpstreamConnection>(*this, &user));
  used_.back()->place_ = std::prev(used_.end());
  return *used_.back();
}

bool UpstreamPool::watch(UpstreamConnection& connection) { return loop_.add(connection.transport.fd(), connection); }

void UpstreamPool::keep(UpstreamConnection& connection, TimePoint now, std::size_t most) {
  if (most == 0) {
    drop(connection);
    return;
  }
  if (idle_.size() >= most) {
    drop(*idle_.front());
  }
  connection.user_ = nullptr;
  connection.idle_since = now;
  idle_.splice(idle_.end(), used_, connection.place_);
}

void UpstreamPool::drop(UpstreamConnection& connection, bool with_reset) {
  if (connection.transport.is_open()) {
    loop_.remove(connection.transport.fd(), connection);
    if (with_reset) {
      connection.transport.abort();
    } else {
      connection.transport.close();
    }
  }
  auto& list = connection.user_ != nullptr ? used_ : idle_;
  connection.user_ = nullptr;
  const auto place = connection.place_;
  loop_.retire(std::move(*place));
  list.erase(place);
}

void UpstreamPool::trim(TimePoint limit) {
  while (!idle_.empty() && idle_.front()->idle_since <= limit) {
    drop(*idle_.front());
  }
}

void UpstreamPool::declare_hung() {
  // Telling one may drop connections or make new ones: those of this moment are meant.
  std::vector<UpstreamConnection*> present;
  present.reserve(used_.size());
  for (const auto& connection : used_) {
    present.push_back(connection.get());
  }
  for (UpstreamConnection* connection : present) {
    if (connection->user_ != nullptr) {
      connection->user_->on_upstream_hung();
    }
  }
}

}  // namespace svc::router
