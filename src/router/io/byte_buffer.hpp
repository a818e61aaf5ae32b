// Bytes that are read into: no zeroing, and always kPadding readable bytes behind the content, as JSON reading wants it.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "router/core/request_facts.hpp"

namespace svc::router {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { swap(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer() = default;

  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// Where the next bytes may be put, `room()` of them; then grow(n).
  [[nodiscard]] char* tail() { return bytes_.get() + size_; }
  [[nodiscard]] std::size_t room() const { return capacity_ - size_; }
  void grow(std::size_t n) { size_ += n; }

  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) {
      return;
    }
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity + FactsReader::kPadding);
    if (size_ > 0) {
      std::memcpy(bytes.get(), bytes_.get(), size_);
    }
    std::memset(bytes.get() + capacity, 0, FactsReader::kPadding);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }
  void append(std::string_view text) {
    if (room() < text.size()) {
      reserve(std::max(capacity_ * 2, size_ + text.size()));
    }
    if (!text.empty()) {
      std::memcpy(tail(), text.data(), text.size());
    }
    size_ += text.size();
  }
  void remove_prefix(std::size_t n) {
    size_ -= n;
    std::memmove(bytes_.get(), bytes_.get() + n, size_);
  }
  void clear() { size_ = 0; }
  /// Gives the memory back.
  void release() {
    bytes_.reset();
    size_ = capacity_ = 0;
  }
  void swap(ByteBuffer& other) noexcept {
    bytes_.swap(other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace svc::router
