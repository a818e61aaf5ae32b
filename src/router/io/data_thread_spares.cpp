// What requests have given back, for those to come: memory that is warm, and costs no allocation.
#include <algorithm>
#include <utility>

#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kSpareBytes = 16U << 20U;
constexpr std::size_t kSpareBuffers = 256;
constexpr std::size_t kSpareExchanges = 64;

}  // namespace

/// Giving back must not fail: a connection that is closed for lack of memory does it too.
void DataThread::reserve_spares() {
  spare_.reserve(kSpareBuffers);
  spare_exchanges_.reserve(kSpareExchanges);
}

/// Of what was not needed lately.
void DataThread::drop_some_spares() {
  if (!spare_.empty()) {
    spare_bytes_ -= spare_.front().capacity();
    spare_.erase(spare_.begin());
  }
  if (!spare_exchanges_.empty()) {
    spare_exchanges_.erase(spare_exchanges_.begin());
  }
}

void DataThread::take_buffer(ByteBuffer& buffer, std::size_t capacity) {
  for (auto spare = spare_.rbegin(); spare != spare_.rend(); ++spare) {
    if (spare->capacity() >= capacity && spare->capacity() / 4 <= capacity) {
      buffer.swap(*spare);
      spare_bytes_ -= buffer.capacity();
      spare_.erase(std::next(spare).base());
      return;
    }
  }
  buffer.reserve(capacity);
}

void DataThread::give_back(ByteBuffer& buffer) {
  if (buffer.capacity() == 0 || spare_bytes_ + buffer.capacity() > kSpareBytes || spare_.size() == kSpareBuffers) {
    buffer.release();
    return;
  }
  buffer.clear();
  spare_bytes_ += buffer.capacity();
  spare_.emplace_back().swap(buffer);
}

std::unique_ptr<Exchange> DataThread::take_exchange() {
  if (spare_exchanges_.empty()) {
    return std::make_unique<Exchange>();
  }
  auto exchange = std::move(spare_exchanges_.back());
  spare_exchanges_.pop_back();
  return exchange;
}

void DataThread::give_back(std::unique_ptr<Exchange> exchange) {
  give_back(exchange->body);
  if (spare_exchanges_.size() < kSpareExchanges) {
    exchange->reset();
    spare_exchanges_.push_back(std::move(exchange));
  }
}

}  // namespace svc::router
