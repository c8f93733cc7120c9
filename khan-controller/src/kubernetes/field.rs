//! A field of a manifest that may be absent or of the wrong type, without that being an error while reading.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use khan_api::limit;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::ObjectError;

/// What stands in a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Nothing, or null.
    #[default]
    Absent,
    /// A value of the right type.
    Present(T),
    /// A value of another type.
    WrongType,
}

impl<T> Field<T> {
    /// The value, `None` when absent, an error that names `field` when it has the wrong type.
    pub fn optional(self, field: &'static str) -> Result<Option<T>, ObjectError>
    where
        T: for<'de> Shape<'de>,
    {
        match self {
            Self::Absent => Ok(None),
            Self::Present(value) => Ok(Some(value)),
            Self::WrongType => Err(ObjectError::WrongType { field, expected: T::EXPECTED }),
        }
    }

    /// The value, if it is there and of the right type.
    pub const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::WrongType => None,
        }
    }
}

/// A type that a field can hold. Each method takes one JSON type; those that are not implemented refuse it.
pub trait Shape<'de>: Sized {
    /// Finishes the sentence "the field is not ...".
    const EXPECTED: &'static str;

    /// From a string.
    fn text(_text: &str) -> Option<Self> {
        None
    }

    /// From `true` or `false`.
    fn truth(_truth: bool) -> Option<Self> {
        None
    }

    /// From a whole number that is not negative.
    fn number(_number: u64) -> Option<Self> {
        None
    }

    /// From an array.
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From an object.
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Shape<'_> for String {
    const EXPECTED: &'static str = "text";

    fn text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Shape<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn truth(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

impl Shape<'_> for u16 {
    const EXPECTED: &'static str = "a number from 0 to 65535";

    fn number(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl<'de, T: Shape<'de>> Shape<'de> for Vec<Field<T>> {
    const EXPECTED: &'static str = "a list";

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut elements = Self::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Some(elements))
    }
}

/// Text by text, in the order of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(pub Vec<(String, Field<String>)>);

impl<'de> Shape<'de> for Labels {
    const EXPECTED: &'static str = "a map of texts";

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut labels = Vec::new();
        while let Some(entry) = object.next_entry()? {
            labels.push(entry);
        }
        Ok(Some(Self(labels)))
    }
}

impl Shape<'_> for NonZeroU32 {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295, in quotation marks";

    // Annotations are texts.
    fn text(text: &str) -> Option<Self> {
        limit::parse(text).ok()
    }
}

/// Makes a struct of fields a [`Shape`] of its own.
macro_rules! object_shape {
    ($($name:ident),*) => {
        $(impl<'de> $crate::kubernetes::field::Shape<'de> for $name {
            const EXPECTED: &'static str = "an object";

            fn object<A: serde::de::MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(object);
                serde::Deserialize::deserialize(deserializer).map(Some)
            }
        })*
    };
}
pub(super) use object_shape;

impl<'de, T: Shape<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<T> From<Option<T>> for Field<T> {
    /// `None` is a value that the type refused.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::WrongType, Self::Present)
    }
}

impl<'de, T: Shape<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(T::truth(truth).into())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Field::WrongType)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(T::number(number).into())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::WrongType)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::text(text).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Ok(T::list(list)?.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(T::object(object)?.into())
    }
}
