//! Where in a body a token stands, and what a value there is to us.

use super::fields::Field;

/// What an open object or array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The body's object.
    Top,
    /// Nothing in it matters.
    Skip,
    /// Its JSON text counts whole, nothing in it matters by itself.
    Raw,
    /// `tools` or `functions`: counts like [`Place::Raw`], elements are tools.
    Tools,
    /// A tool.
    Tool,
    /// `messages`.
    Messages,
    /// `input` or `prompt`.
    Inputs,
    /// An array in one of those: token ids.
    Ids,
    /// Anything within messages, inputs, instructions.
    Content,
    /// The object of an `image_url`.
    Image,
    /// The object of an `input_audio`.
    Audio,
    /// `metadata`.
    Metadata,
    /// `litellm_metadata`.
    LitellmMetadata,
    /// `metadata.tags` or `tags`.
    Tags,
    /// `stream_options`.
    StreamOptions,
}

/// What a value is to us, by the key or array it stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The document itself.
    Root,
    /// A top-level field that we know.
    Top(Field),
    /// A top-level field that we do not know.
    Other,
    /// Nothing.
    Skip,
    /// Content of a message or input.
    Content,
    /// An element of `messages`.
    Message,
    /// An element of `input` or `prompt`.
    Input,
    /// A token id.
    Id,
    /// `type` of a content part or item.
    PartType,
    /// `detail` of an image.
    Detail,
    /// An image: its address, or an object around it.
    Image,
    /// The address within that object.
    ImageUrl,
    /// Audio: its bytes, or an object around them.
    Audio,
    /// The bytes within that object.
    AudioData,
    /// Refers to content that is elsewhere, or that bytes do not bound.
    Hidden,
    /// A tool.
    Tool,
    /// `type` of a tool.
    ToolType,
    /// `metadata.user_id`
    MetadataUserId,
    /// `litellm_metadata.user`
    LitellmMetadataUser,
    /// `metadata.tags`
    MetadataTags,
    /// A tag.
    Tag,
    /// `stream_options.include_usage`
    IncludeUsage,
}

/// `detail` of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Detail {
    /// Not stated.
    #[default]
    Unstated,
    /// `low`
    Low,
    /// `original`
    Original,
    /// Anything else, or stated twice.
    Other,
}

/// An open object or array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// What it is.
    pub(super) place: Place,
    /// Whether it is an object: values in it stand under keys.
    pub(super) object: bool,
    /// Whether it is, or directly holds, an image.
    pub(super) image: bool,
    /// The image's detail.
    pub(super) detail: Detail,
    /// Whether token ids stand directly in it.
    pub(super) ids: bool,
}

impl Frame {
    /// Just opened.
    pub(super) const fn new(place: Place, object: bool) -> Self {
        let image = matches!(place, Place::Image);
        Self {
            place,
            object,
            image,
            detail: Detail::Unstated,
            ids: false,
        }
    }
}

impl Place {
    /// What an element of an array here is.
    pub(super) const fn element(self) -> Slot {
        match self {
            Self::Messages => Slot::Message,
            Self::Inputs => Slot::Input,
            Self::Ids => Slot::Id,
            Self::Content | Self::Image | Self::Audio => Slot::Content,
            Self::Tools => Slot::Tool,
            Self::Tags => Slot::Tag,
            Self::Top
            | Self::Skip
            | Self::Raw
            | Self::Tool
            | Self::Metadata
            | Self::LitellmMetadata
            | Self::StreamOptions => Slot::Skip,
        }
    }

    /// What the value under `key` in an object here is; top-level keys are looked up elsewhere.
    pub(super) fn member(self, key: &[u8]) -> Slot {
        match (self, key) {
            (Self::Content | Self::Image | Self::Audio, _) => self.content_member(key),
            (Self::Tool, b"type") => Slot::ToolType,
            (Self::Metadata, b"user_id") => Slot::MetadataUserId,
            (Self::LitellmMetadata, b"user") => Slot::LitellmMetadataUser,
            (Self::Metadata, b"tags") => Slot::MetadataTags,
            (Self::StreamOptions, b"include_usage") => Slot::IncludeUsage,
            _ => Slot::Skip,
        }
    }

    fn content_member(self, key: &[u8]) -> Slot {
        match (self, key) {
            (Self::Image, b"url") => Slot::ImageUrl,
            (Self::Audio, b"data") => Slot::AudioData,
            (Self::Audio, b"format") => Slot::Skip,
            (Self::Audio, b"id") => Slot::Hidden,
            (_, b"type") => Slot::PartType,
            (_, b"detail") => Slot::Detail,
            (_, b"image_url" | b"image") => Slot::Image,
            (_, b"input_audio" | b"audio") => Slot::Audio,
            (_, b"file" | b"file_id" | b"file_url" | b"file_data" | b"video" | b"video_url") => {
                Slot::Hidden
            }
            _ => Slot::Content,
        }
    }

    /// Whether `key`, in an object here, is part of the wire format rather than something that a model reads.
    pub(super) fn is_wire_key(self, key: &[u8]) -> bool {
        const WIRE: &[&[u8]] = &[
            b"arguments",
            b"call_id",
            b"content",
            b"function",
            b"id",
            b"name",
            b"output",
            b"refusal",
            b"role",
            b"status",
            b"summary",
            b"text",
            b"tool_call_id",
            b"tool_calls",
        ];
        !matches!(self, Self::Content | Self::Image | Self::Audio)
            || WIRE.contains(&key)
            || self.content_member(key) != Slot::Content
    }
}
