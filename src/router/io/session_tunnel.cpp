#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {

void ClientSession::begin_tunnel(std::string_view first_bytes) {
  state_ = State::tunnel;
  x().keep_alive = false;
  to_upstream_ = std::make_unique<std::string>(in_.view());  // what the client sent ahead of the answer
  in_.release();
  send_client(thread_.out, first_bytes);
  if (state_ == State::tunnel) {
    run_tunnel();
  }
}

// Both directions, each as far as its receiver takes bytes. The end of one direction is passed on; when both have ended the
// tunnel is closed.
void ClientSession::run_tunnel() {
  const Duration silence = thread_.settings().settings.proxy_timeout;
  if (!out_.empty() && client_writable_) {
    flush_client();
    if (state_ == State::dead) {
      return;
    }
  }
  std::string& up_out = *to_upstream_;
  if (!up_out.empty() && up_->writable) {
    const IoResult sent = up_->transport.write(up_out);
    up_out.erase(0, sent.bytes);
    if (sent.status == IoStatus::failed) {
      close();
      return;
    }
    up_->writable = up_out.empty();
  }
  int reads = 0;
  while (client_readable_ && !client_ended_ && up_out.empty()) {
    if (++reads > kReadsAtOnce) {
      resume_later();
      break;
    }
    const IoResult got = client_.read(thread_.in_bytes.get(), DataThread::kInBytes);
    if (got.status == IoStatus::blocked) {
      client_readable_ = false;
      break;
    }
    if (got.status == IoStatus::failed) {
      close();
      return;
    }
    if (got.status == IoStatus::ended) {
      client_readable_ = false;
      client_ended_ = true;
      up_->transport.shutdown_send();
      break;
    }
    arm(silence);
    const std::string_view data(thread_.in_bytes.get(), got.bytes);
    const IoResult sent = up_->transport.write(data);
    if (sent.status == IoStatus::failed) {
      close();
      return;
    }
    if (sent.bytes < data.size()) {
      up_out.assign(data.substr(sent.bytes));
      up_->writable = false;
    }
  }
  reads = 0;
  while (up_->readable && !upstream_ended_ && out_.empty()) {
    if (++reads > kReadsAtOnce) {
      resume_later();
      break;
    }
    const IoResult got = up_->transport.read(thread_.relay_bytes.get(), DataThread::kRelayBytes);
    if (got.status == IoStatus::blocked) {
      up_->readable = false;
      break;
    }
    if (got.status == IoStatus::failed) {
      close(true);
      return;
    }
    if (got.status == IoStatus::ended) {
      up_->readable = false;
      upstream_ended_ = true;
      client_.shutdown_send();
      break;
    }
    arm(silence);
    note_heard();
    x().bytes_out += got.bytes;
    send_client({thread_.relay_bytes.get(), got.bytes});
    if (state_ == State::dead) {
      return;
    }
  }
  if (client_ended_ && upstream_ended_ && out_.empty()) {
    close();
  }
}

}  // namespace svc::router
