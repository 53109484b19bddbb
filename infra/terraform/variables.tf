variable "bucket" {
  description = "Name of the bucket: GENEPT_BUCKET."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket has 3 to 63 characters: a-z, 0-9, dot and hyphen."
  }
}

variable "product" {
  description = "First segment of every key: GENEPT_PRODUCT."
  type        = string
  default     = "genept"
}

variable "public_read" {
  description = "Whether anybody may read the public releases (`genept release publish --public --no-policy`)."
  type        = bool
  default     = false
}

variable "trusted" {
  description = "ARNs that may assume each role; a role without one is nobody's."
  type        = map(list(string))

  validation {
    condition     = alltrue([for role in keys(var.trusted) : contains(["reader", "writer", "publisher", "gc"], role)])
    error_message = "The roles are reader, writer, publisher and gc."
  }
}

variable "locked_days" {
  description = "Days for which no version of an object can be deleted, not even by gc."
  type        = number
  default     = 14
}

variable "kept_days" {
  description = "Days for which overwritten and deleted versions are kept: how far back a restore reaches."
  type        = number
  default     = 30

  validation {
    condition     = var.kept_days >= var.locked_days
    error_message = "What is locked cannot be expired: kept_days must not be below locked_days."
  }
}
